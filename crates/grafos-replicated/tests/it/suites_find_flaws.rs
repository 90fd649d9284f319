//! Each rule of the conformance suites can fail: for each there is a store or a replica that breaks it, and the suite
//! says so.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use grafos_replicated::testing::{
    metadata_store_rules, metadata_store_suite, payload_replica_rules, payload_replica_suite,
};

use super::{broken_metadata_store, broken_payload_replica};

/// The rules that a suite found broken; none if it passed.
fn broken_rules(suite: impl FnOnce()) -> BTreeSet<String> {
    let Err(panic) = catch_unwind(AssertUnwindSafe(suite)) else { return BTreeSet::new() };
    let message = panic.downcast_ref::<String>().expect("a suite panics with a text");
    let rules = message.lines().skip(1).filter_map(|line| line.strip_prefix("  ")?.split_once(": "));
    rules.map(|(rule, _)| rule.to_owned()).collect()
}

#[test]
fn every_rule_for_stores_is_seen_broken_by_a_store_that_breaks_it() {
    use broken_metadata_store::Flaw;
    let flaws = [
        (Flaw::ReplacingDoesNothing, "what_is_put_is_read"),
        (Flaw::KeysHaveNoCase, "what_was_never_put_is_absent"),
        (Flaw::ReadsTogetherInTheOrderOfKeys, "records_read_together_are_those_of_their_keys"),
        (Flaw::EmptyRecordsAreAbsent, "records_may_be_empty_and_hold_any_byte"),
        (Flaw::LargeRecordsAreCut, "the_largest_record_and_the_longest_key_fit"),
        (Flaw::OnlyTheFirstGuardCounts, "a_guard_that_does_not_hold_changes_nothing"),
        (Flaw::OnlyTheFirstChangeIsMade, "changes_take_place_together"),
        (Flaw::AnswersTheRevisionBefore, "a_record_has_the_revision_that_was_answered"),
        (Flaw::DeletesKeepTheRecord, "a_deleted_record_is_absent"),
        (Flaw::RevisionsStandStill, "revisions_grow"),
        (Flaw::ARecordCountsForItself, "a_revision_is_never_used_again"),
        (Flaw::GuardsAloneAlwaysHold, "guards_alone_say_whether_they_hold"),
        (Flaw::AsksNothing, "a_request_that_cannot_be_asked_changes_nothing"),
        (Flaw::ChecksBeforeItLocks, "of_racing_writers_one_wins"),
        (Flaw::WritesBlindlyBetweenThreads, "no_change_is_lost_between_threads"),
        (Flaw::TakesPrefixesForPatterns, "a_scan_gives_the_records_of_a_prefix_and_no_others"),
        (Flaw::ScansBackwards, "a_scan_is_in_the_order_of_keys"),
        (Flaw::ScansFromAnyKeyItKnows, "a_scan_goes_on_behind_a_key"),
        (Flaw::ScansOneTooMany, "a_scan_gives_no_more_than_its_limit"),
        (Flaw::HandlesRememberWhatTheyRead, "another_handle_sees_every_commit"),
        (Flaw::RestartWipes, "records_outlive_their_handle"),
        (Flaw::RestartCountsAnew, "revisions_go_on_after_a_restart"),
        (Flaw::OtherHandlesNeedNoGuards, "guards_hold_between_handles"),
    ];
    let with_a_flaw: BTreeSet<&str> = flaws.iter().map(|(_, rule)| *rule).collect();
    assert_eq!(with_a_flaw, metadata_store_rules().collect(), "every rule needs a store that breaks it");
    for (flaw, rule) in flaws {
        let broken = broken_rules(|| metadata_store_suite(|| broken_metadata_store::tested(flaw)));
        assert!(broken.contains(rule), "{flaw:?} breaks `{rule}`, the suite saw only {broken:?}");
    }
    metadata_store_suite(|| broken_metadata_store::tested(Flaw::Nothing));
}

#[test]
fn every_rule_for_replicas_is_seen_broken_by_a_replica_that_breaks_it() {
    use broken_payload_replica::Flaw;
    let flaws = [
        (Flaw::LongBlobsLoseTheirLastByte, "what_is_written_is_read"),
        (Flaw::ReadsFromWholePages, "any_part_can_be_read"),
        (Flaw::FillsUpWithZeros, "a_read_past_the_end_is_an_error"),
        (Flaw::IsAsLongAsWasSaid, "a_blob_is_as_long_as_was_written"),
        (Flaw::FindsWhatIsNotThere, "a_blob_that_was_never_written_is_not_found"),
        (Flaw::ForgetsTheNonce, "blobs_do_not_share_bytes"),
        (Flaw::SpacesHaveNoCase, "any_names_make_spaces_apart"),
        (Flaw::ShowsWhatWasBegun, "a_blob_appears_when_it_is_finished"),
        (Flaw::DropFinishes, "what_is_not_finished_leaves_nothing"),
        (Flaw::Replaces, "a_blob_is_never_replaced"),
        (Flaw::RepairsDeleteFirst, "a_repair_takes_the_place_of_what_was_there"),
        (Flaw::LastFinisherWins, "of_two_writers_of_one_tag_one_wins"),
        (Flaw::ForgetsWhatWasSaid, "a_blob_gets_no_longer_than_was_said"),
        (Flaw::StagingFinishes, "what_is_only_staged_leaves_nothing"),
        (Flaw::MakesDurableWhatIsNotThere, "only_a_blob_that_is_there_can_be_made_durable"),
        (Flaw::ListsByFirstDigit, "a_list_is_in_the_order_of_tags"),
        (Flaw::ListsAlwaysFromTheStart, "a_list_goes_on_behind_a_tag"),
        (Flaw::ListsAll, "a_list_gives_no_more_than_its_limit"),
        (Flaw::AnEmptySpaceIsAnError, "a_space_without_blobs_is_an_empty_list"),
        (Flaw::KeepsWhatIsDeleted, "a_deleted_blob_is_gone"),
        (Flaw::DeletingNothingIsAnError, "deleting_what_is_not_there_is_no_error"),
        (Flaw::HandlesShareNothing, "another_handle_sees_finished_blobs"),
        (Flaw::RestartWipes, "blobs_outlive_their_handle"),
        (Flaw::WritersShareABuffer, "threads_can_write_at_once"),
    ];
    let with_a_flaw: BTreeSet<&str> = flaws.iter().map(|(_, rule)| *rule).collect();
    assert_eq!(with_a_flaw, payload_replica_rules().collect(), "every rule needs a replica that breaks it");
    for (flaw, rule) in flaws {
        let broken = broken_rules(|| payload_replica_suite(|| broken_payload_replica::tested(flaw)));
        assert!(broken.contains(rule), "{flaw:?} breaks `{rule}`, the suite saw only {broken:?}");
    }
    payload_replica_suite(|| broken_payload_replica::tested(Flaw::Nothing));
}
