//! Each rule of the conformance suites can fail: for each there is a host that breaks it, and the suite says so.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use grafos_std::host::testing::{
    block_host_rules, block_host_suite, gpu_host_rules, gpu_host_suite, mem_host_rules, mem_host_suite,
};

use super::{broken_block_host, broken_gpu_host, broken_mem_host};

/// The rules that a suite found broken; none if it passed.
fn broken_rules(suite: impl FnOnce()) -> BTreeSet<String> {
    let Err(panic) = catch_unwind(AssertUnwindSafe(suite)) else { return BTreeSet::new() };
    let message = panic.downcast_ref::<String>().expect("a suite panics with a text");
    let rules = message.lines().skip(1).filter_map(|line| line.strip_prefix("  ")?.split_once(": "));
    rules.map(|(rule, _)| rule.to_owned()).collect()
}

#[test]
fn every_rule_for_blocks_is_seen_broken_by_a_host_that_breaks_it() {
    use broken_block_host::Flaw;
    let flaws = [
        (Flaw::NewBlocksHoldGarbage, "new_blocks_read_as_zeros"),
        (Flaw::WritesVanish, "what_is_written_is_read"),
        (Flaw::LongWritesLoseTheirLastBlock, "writes_of_any_size_do_the_same_as_single_blocks"),
        (Flaw::NeedsAlignedBuffers, "buffers_of_any_alignment_work"),
        (Flaw::ServesOneThreadOnly, "threads_can_share_a_handle"),
        (Flaw::AllVolumesAreOne, "volumes_do_not_share_blocks"),
        (Flaw::ReleaseWipes, "data_outlive_a_released_lease"),
        (Flaw::DeathWipes, "data_outlive_a_dead_holder"),
        (Flaw::RestartWipes, "flushed_data_outlive_a_restart"),
        (Flaw::GrowthWipes, "growth_keeps_data_and_adds_zeros"),
        (Flaw::Shrinks, "a_volume_never_shrinks"),
        (Flaw::CountsOneBlockTooMany, "every_block_inside_and_none_outside_can_be_used"),
        (Flaw::PromisesTheImpossible, "requests_that_cannot_be_met_change_nothing"),
        (Flaw::GrantsTooLittle, "a_grant_is_what_was_asked_for"),
        (Flaw::EpochsRepeat, "epochs_only_rise"),
        (Flaw::EpochsRestart, "epochs_do_not_fall_with_a_restart"),
        (Flaw::LeaseIdsRepeat, "lease_ids_are_never_used_again"),
        (Flaw::LetsEverybodyIn, "a_volume_has_one_holder"),
        (Flaw::LetsOtherHostsIn, "a_volume_has_one_holder_across_hosts"),
        (Flaw::TheDeadHoldOn, "a_dead_holder_holds_nothing"),
        (Flaw::UnnamedVolumesAreOne, "unnamed_volumes_are_new_and_can_be_found_again"),
        (Flaw::AttachRepeatsTheEpoch, "an_attached_lease_is_the_same_with_a_higher_epoch"),
        (Flaw::AttachExtends, "attaching_does_not_extend_a_lease"),
        (Flaw::RestartForgetsLeases, "leases_can_be_attached_after_a_restart"),
        (Flaw::AttachesOverTheLiving, "a_lease_with_a_living_holder_cannot_be_attached"),
        (Flaw::AttachesToUnknownLeases, "an_unknown_lease_cannot_be_attached"),
        (Flaw::EveryEndIsNotFound, "a_released_lease_cannot_be_attached"),
        (Flaw::EveryEndIsNotFound, "a_revoked_lease_cannot_be_attached"),
        (Flaw::EveryEndIsNotFound, "an_expired_lease_cannot_be_attached"),
        (Flaw::OldLeasesRevive, "an_older_lease_of_a_volume_cannot_be_attached"),
        (Flaw::ReleaseHoldsOn, "a_released_volume_can_be_leased_again"),
        (Flaw::GrantsTenTimesTheTime, "a_lease_ends_at_its_deadline"),
        (Flaw::ExpiryCloses, "an_expired_volume_can_be_leased_again"),
        (Flaw::RenewsForNoTime, "renewal_moves_the_deadline"),
        (Flaw::RenewsInNameOnly, "the_host_remembers_a_renewal"),
        (Flaw::IgnoresRevocation, "revocation_closes_every_handle"),
        (Flaw::OtherHostsRevokeInVain, "revocation_reaches_a_holder_on_another_host"),
        (Flaw::RevokesWhatIsNotThere, "revocation_says_what_it_found"),
        (Flaw::RestartForgetsRevocations, "a_revocation_outlives_a_restart"),
        (Flaw::RevocationCloses, "a_revoked_volume_can_be_leased_again"),
    ];
    let with_a_flaw: BTreeSet<&str> = flaws.iter().map(|(_, rule)| *rule).collect();
    assert_eq!(with_a_flaw, block_host_rules().collect(), "every rule needs a host that breaks it");
    for (flaw, rule) in flaws {
        let broken = broken_rules(|| block_host_suite(|| broken_block_host::tested(flaw)));
        assert!(broken.contains(rule), "{flaw:?} breaks `{rule}`, the suite saw only {broken:?}");
    }
    block_host_suite(|| broken_block_host::tested(Flaw::Nothing));
}

#[test]
fn every_rule_for_memory_is_seen_broken_by_a_host_that_breaks_it() {
    use broken_mem_host::Flaw;
    let flaws = [
        (Flaw::NewMemoryHoldsGarbage, "new_memory_reads_as_zeros"),
        (Flaw::OldBytesShine, "memory_of_an_earlier_lease_is_not_seen"),
        (Flaw::WritesVanish, "what_is_written_is_read"),
        (Flaw::ServesOneThreadOnly, "threads_can_share_a_handle"),
        (Flaw::AllLeasesReadTheNewest, "leases_do_not_share_bytes"),
        (Flaw::CountsOneByteTooMany, "every_byte_inside_and_none_outside_can_be_used"),
        (Flaw::GrantsTooLittle, "a_grant_is_what_was_asked_for"),
        (Flaw::LeaseIdsRepeat, "lease_ids_are_never_used_again"),
        (Flaw::PromisesTheImpossible, "more_than_there_is_is_refused"),
        (Flaw::NothingIsFreed, "dropped_memory_is_free_again"),
        (Flaw::NothingIsFreed, "released_memory_is_free_again"),
        (Flaw::RevokedMemoryStaysTaken, "revoked_memory_is_free_again"),
        (Flaw::GrantsTenTimesTheTime, "a_lease_ends_at_its_deadline"),
        (Flaw::RenewsForNoTime, "renewal_moves_the_deadline"),
        (Flaw::IgnoresRevocation, "revocation_closes_every_handle"),
        (Flaw::KeepsRevokedContents, "revocation_takes_the_contents"),
        (Flaw::RevokesWhatIsNotThere, "revocation_says_what_it_found"),
    ];
    let with_a_flaw: BTreeSet<&str> = flaws.iter().map(|(_, rule)| *rule).collect();
    assert_eq!(with_a_flaw, mem_host_rules().collect(), "every rule needs a host that breaks it");
    for (flaw, rule) in flaws {
        let broken = broken_rules(|| mem_host_suite(|| broken_mem_host::tested(flaw)));
        assert!(broken.contains(rule), "{flaw:?} breaks `{rule}`, the suite saw only {broken:?}");
    }
    mem_host_suite(|| broken_mem_host::tested(Flaw::Nothing));
}

#[test]
fn every_rule_for_gpus_is_seen_broken_by_a_host_that_breaks_it() {
    use broken_gpu_host::Flaw;
    let flaws = [
        (Flaw::NewMemoryHoldsGarbage, "new_device_memory_reads_as_zeros"),
        (Flaw::OldBytesShine, "memory_of_an_earlier_session_is_not_seen"),
        (Flaw::WritesLoseTheirLastByte, "every_byte_inside_an_allocation_and_none_outside_can_be_used"),
        (Flaw::AllocationsAreNotAligned, "allocations_are_aligned_and_apart"),
        (Flaw::SessionsOfALeaseAreOne, "sessions_do_not_share_memory"),
        (Flaw::ServesOneThreadOnly, "threads_can_share_a_session"),
        (Flaw::LendsMoreThanItSays, "a_lease_allocates_no_more_than_it_has"),
        (Flaw::FreesNothing, "freed_memory_can_be_allocated_again"),
        (Flaw::CopiesVanish, "what_is_written_to_a_device_is_read"),
        (Flaw::StagingBuffersAreTooLong, "staging_buffers_come_back_with_the_bytes"),
        (Flaw::CopiesWaitForKernels, "copies_overlap_with_kernels"),
        (Flaw::LosesABlock, "every_thread_of_a_launch_runs_once"),
        (Flaw::LosesTheLastArgument, "every_kind_of_argument_arrives"),
        (Flaw::OverlooksAParameter, "wrong_arguments_are_refused_before_the_launch"),
        (Flaw::KnowsNoLimits, "launches_out_of_range_are_refused"),
        (Flaw::ForgetsSharedMemory, "dynamic_shared_memory_is_there"),
        (Flaw::CountsNoLaunches, "launches_are_counted"),
        (Flaw::LoadsAnything, "what_is_no_module_is_refused"),
        (Flaw::FindsAnyKernel, "kernels_are_found_by_their_names_only"),
        (Flaw::LoadsAModuleOnce, "variables_live_as_long_as_their_module"),
        (Flaw::HasNoStreams, "handles_of_another_session_are_refused"),
        (Flaw::FreeFails, "freed_handles_are_refused"),
        (Flaw::FreesNothing, "the_last_clone_frees"),
        (Flaw::CopiesComeLate, "a_stream_keeps_its_order"),
        (Flaw::IgnoresEvents, "streams_wait_for_events"),
        (Flaw::SyncWaitsForNothing, "sync_waits_for_every_stream"),
        (Flaw::EventsHappenAtOnce, "an_event_tells_whether_it_has_happened"),
        (Flaw::LetsEverybodyIn, "leases_keep_out_whom_they_should"),
        (Flaw::LetsEverybodyIn, "sessions_keep_out_whom_they_should"),
        (Flaw::SharesByDefault, "a_class_is_never_weakened"),
        (Flaw::PromisesTheImpossible, "device_memory_is_never_promised_twice"),
        (Flaw::GrantsTooLittle, "a_gpu_grant_is_what_was_asked_for"),
        (Flaw::AnyDeviceWillDo, "an_unknown_device_is_refused"),
        (Flaw::EpochsRepeat, "epochs_of_a_device_only_rise"),
        (Flaw::LeaseIdsRepeat, "gpu_lease_ids_are_never_used_again"),
        (Flaw::GrantsTenTimesTheTime, "a_gpu_lease_ends_at_its_deadline"),
        (Flaw::RenewsForNoTime, "renewal_moves_the_deadline_of_a_gpu"),
        (Flaw::SessionsAreNeverClosed, "every_end_of_a_session_frees_everything"),
        (Flaw::LeasesAreNeverEnded, "every_end_of_a_lease_frees_everything"),
        (Flaw::LeasesAreNeverEnded, "an_ended_lease_is_nobodys"),
        (Flaw::NeverLooksAtTheClock, "expiry_stops_a_kernel_that_runs"),
        (Flaw::IgnoresRevocation, "revocation_closes_every_session"),
        (Flaw::RevokesWhatIsNotThere, "revocation_says_what_it_found_of_gpus"),
        (Flaw::IgnoresRevocation, "a_sync_that_waits_hears_of_the_revocation"),
        (Flaw::IgnoresRevocation, "revocation_stops_a_kernel_that_runs"),
        (Flaw::ForgetsFaults, "a_fault_fails_its_session_for_good"),
        (Flaw::FaultsSpread, "a_fault_leaves_other_sessions_alone"),
        (Flaw::FailedSessionsStay, "a_failed_session_frees_everything"),
        (Flaw::MistakesAreFatal, "mistakes_of_the_caller_fail_nothing"),
    ];
    let with_a_flaw: BTreeSet<&str> = flaws.iter().map(|(_, rule)| *rule).collect();
    assert_eq!(with_a_flaw, gpu_host_rules().collect(), "every rule needs a host that breaks it");
    for (flaw, rule) in flaws {
        let broken = broken_rules(|| gpu_host_suite(|| broken_gpu_host::tested(flaw)));
        assert!(broken.contains(rule), "{flaw:?} breaks `{rule}`, the suite saw only {broken:?}");
    }
    gpu_host_suite(|| broken_gpu_host::tested(Flaw::Nothing));
}
