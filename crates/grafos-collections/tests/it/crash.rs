//! Every crash point: the I/O operations of a workload are counted, then it loses power, or dies, at each of them,
//! with every possible state of the disk for small values and thousands for large ones. What a restore finds is the
//! last checkpoint that was acknowledged, or the one that was in flight.

use grafos_collections::durable::{Durable, DurableError};
use grafos_std::error::FabricError;
use grafos_std::host::testing::{CrashPoint, Fault, FaultPlan, Keep, OpKind};
use proptest::prelude::*;

use crate::world::{State, World};

/// How large the value is at each step, and how it is committed.
#[derive(Clone, Copy, Debug)]
struct Workload {
    len: fn(u64) -> usize,
    steps: u64,
    slots: u32,
    blocks: u64,
    in_background: bool,
}

const INLINE: Workload = Workload { len: |_| 100, steps: 4, slots: 2, blocks: 64, in_background: false };
const ONE_CHUNK: Workload =
    Workload { len: |step| 4000 + step as usize, steps: 4, slots: 2, blocks: 64, in_background: false };
const MIXED: Workload = Workload {
    len: |step| if step.is_multiple_of(2) { 10 } else { 70_000 },
    steps: 5,
    slots: 3,
    blocks: 600,
    in_background: false,
};
const MANY_BUFFERS: Workload =
    Workload { len: |_| 2_200_000, steps: 2, slots: 2, blocks: 9000, in_background: false };

const FEW_BUFFERS: Workload =
    Workload { len: |_| 1_200_000, steps: 2, slots: 2, blocks: 9000, in_background: false };

/// What became of a run.
#[derive(Debug, Default)]
struct Outcome {
    /// The last step whose checkpoint was acknowledged; 0 for none.
    acknowledged: u64,
    error: Option<DurableError>,
}

/// Commits the steps after the one that is restored, until something fails.
fn run(world: &World, workload: &Workload) -> Outcome {
    let mut outcome = Outcome::default();
    let step = || -> Result<Durable<State>, DurableError> {
        let lease = world.host.scope(|| {
            grafos_std::block::BlockBuilder::new().volume("v").min_blocks(world.blocks).acquire()
        })?;
        Durable::with_slots(workload.slots).open_or_init(lease, || State::at(0, (workload.len)(0)))
    };
    let mut durable = match step() {
        Ok(durable) => durable,
        Err(error) => {
            outcome.error = Some(error);
            return outcome;
        }
    };
    outcome.acknowledged = durable.step;
    for step in durable.step + 1..=workload.steps {
        *durable = State::at(step, (workload.len)(step));
        let committed = if workload.in_background {
            durable.checkpoint_in_background().and_then(|pending| pending.wait())
        } else {
            durable.checkpoint()
        };
        match committed {
            Ok(_) => outcome.acknowledged = step,
            Err(error) => {
                outcome.error = Some(error);
                break;
            }
        }
    }
    outcome
}

/// The step that a restore finds; 0 for none. Panics if it finds anything that was never a checkpoint.
fn restored_step(world: &World) -> u64 {
    match world.restore() {
        Ok(durable) => {
            assert!(durable.is_whole(), "a mixture was restored: {:?}", durable.step);
            durable.step
        }
        Err(DurableError::NoCheckpoint) => 0,
        Err(error) => panic!("nothing could be restored: {error}"),
    }
}

/// Runs the workload with a fault planned, then checks that it goes on from where it may, and to the end.
fn check(workload: &Workload, plan: &FaultPlan) {
    let world = World::with_plan(workload.blocks, plan.clone());
    let outcome = run(&world, workload);
    world.disk.power_on().unwrap();
    world.disk.set_plan(FaultPlan::none());
    let found = restored_step(&world);
    let in_flight = outcome.acknowledged + 1;
    assert!(
        found == outcome.acknowledged || found == in_flight,
        "acknowledged {}, found {found}, {plan:?}, {:?}",
        outcome.acknowledged,
        outcome.error
    );
    world.disk.cut_power(&Keep::None);
    world.disk.power_on().unwrap();
    assert_eq!(restored_step(&world), found, "what was seen once was taken back by a power cut, {plan:?}");
    let rest = run(&world, workload);
    assert!(rest.error.is_none(), "{:?} after {plan:?}", rest.error);
    assert_eq!(restored_step(&world), workload.steps);
}

fn crash_points(workload: &Workload) -> Vec<CrashPoint> {
    let world = World::new(workload.blocks);
    let outcome = run(&world, workload);
    assert_eq!(outcome.acknowledged, workload.steps, "{:?}", outcome.error);
    CrashPoint::all(&world.disk.ops())
}

/// Cuts the power at every operation of the workload, with every state that `exhaustive_blocks` allows and `seeds`
/// more. Returns how many states were checked.
fn cut_power_everywhere(workload: &Workload, exhaustive_blocks: u64, seeds: u64) -> usize {
    let mut states = 0;
    for point in crash_points(workload) {
        let exhaustive = point.unflushed_blocks() <= exhaustive_blocks;
        let seeded = (0..if exhaustive { 0 } else { seeds }).map(Keep::Seeded);
        for keep in point.outcomes(exhaustive_blocks).chain(seeded) {
            check(workload, &point.plan(keep));
            states += 1;
        }
    }
    states
}

#[test]
fn a_power_cut_at_any_operation_of_small_checkpoints_loses_none_in_any_disk_state() {
    // Eight unflushed blocks at most, but for the claim of the volume: every subset of them.
    let states = cut_power_everywhere(&INLINE, 8, 200);
    assert!(states > 2500, "only {states} states");
}

#[test]
fn a_power_cut_at_any_operation_of_checkpoints_with_payloads_loses_none() {
    let states = cut_power_everywhere(&ONE_CHUNK, 8, 60);
    assert!(states > 1000, "only {states} states");
}

#[test]
fn a_power_cut_at_any_operation_of_growing_and_shrinking_checkpoints_loses_none() {
    let workload = Workload { steps: 3, ..MIXED };
    for point in crash_points(&workload) {
        for keep in [Keep::None, Keep::All].into_iter().chain((0..12).map(Keep::Seeded)) {
            check(&workload, &point.plan(keep));
        }
    }
}

#[test]
fn a_power_cut_at_any_operation_of_large_checkpoints_loses_none() {
    for workload in [FEW_BUFFERS, MANY_BUFFERS] {
        for point in crash_points(&workload) {
            for keep in [Keep::None, Keep::All, Keep::Seeded(1)] {
                check(&workload, &point.plan(keep));
            }
        }
    }
}

#[test]
fn a_power_cut_at_any_operation_in_the_background_loses_none() {
    let workload = Workload { in_background: true, ..ONE_CHUNK };
    for point in crash_points(&workload) {
        for keep in [Keep::None, Keep::All].into_iter().chain((0..20).map(Keep::Seeded)) {
            check(&workload, &point.plan(keep));
        }
    }
}

#[test]
fn a_kill_at_any_operation_loses_none() {
    for workload in [INLINE, ONE_CHUNK, MIXED, Workload { in_background: true, ..MIXED }] {
        for point in crash_points(&workload) {
            check(&workload, &FaultPlan::none().at(point.op(), Fault::Kill));
        }
    }
}

#[test]
fn an_error_at_any_operation_loses_none_and_closes_the_handle() {
    for workload in [INLINE, ONE_CHUNK, MIXED, FEW_BUFFERS, MANY_BUFFERS] {
        for point in crash_points(&workload) {
            for fault in [Fault::Fail { errno: 5 }, Fault::Fail { errno: 28 }, Fault::Tear { blocks: 3 }] {
                check(&workload, &FaultPlan::none().at(point.op(), fault));
            }
        }
    }
}

#[test]
fn after_a_failed_write_every_later_checkpoint_says_poisoned() {
    let world = World::new(64);
    let durable = Durable::new(State::at(1, 10), world.lease());
    durable.checkpoint().unwrap();
    world.disk.set_plan(FaultPlan::none().at(1, Fault::Fail { errno: 5 }));
    let first = durable.checkpoint().unwrap_err();
    assert!(matches!(first, DurableError::Fabric(FabricError::IoError { errno: 5, .. })), "{first}");
    let later = durable.checkpoint().unwrap_err();
    assert!(matches!(later, DurableError::Fabric(FabricError::Poisoned { .. })), "{later}");
    drop(durable);
    assert_eq!(restored_step(&world), 1);
}

#[test]
fn a_disk_that_lies_about_flush_is_seen_to_lose() {
    let lie = FaultPlan::none().at_every(OpKind::Flush, Fault::LoseFlush);
    let world = World::with_plan(64, lie);
    assert_eq!(run(&world, &INLINE).acknowledged, INLINE.steps);
    world.disk.cut_power(&Keep::None);
    world.disk.power_on().unwrap();
    assert_eq!(restored_step(&world), 0, "this rig would not notice a missing flush");
}

#[test]
fn a_silently_flipped_bit_or_misdirected_write_never_yields_a_value_that_was_not_committed() {
    for workload in [INLINE, ONE_CHUNK, MIXED] {
        for point in crash_points(&workload) {
            let flips = (0..8).map(|i| Fault::FlipBit { byte: i * 577, bit: i as u8 });
            let astray = [-16, -8, -1, 1, 8, 16, 24].map(|blocks| Fault::Misdirect { blocks });
            for fault in flips.chain(astray) {
                let world = World::with_plan(workload.blocks, FaultPlan::none().at(point.op(), fault));
                let outcome = run(&world, &workload);
                match world.restore() {
                    Ok(durable) => assert!(durable.is_whole() && durable.step <= outcome.acknowledged + 1),
                    // Silent damage may take everything, but says so.
                    Err(
                        DurableError::AllSlotsDamaged { .. }
                        | DurableError::NoCheckpoint
                        | DurableError::ForeignVolume { .. },
                    ) => {}
                    Err(error) => panic!("{error}"),
                };
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Sizes, slots and power cuts at random, several in a row.
    #[test]
    fn any_history_of_power_cuts_loses_none(
        lens in prop::collection::vec(prop_oneof![0..200_usize, 3000..9000_usize, 60_000..140_000_usize], 7),
        slots in 2..5_u32,
        cuts in prop::collection::vec((0..40_usize, any::<u64>()), 1..5),
        in_background in any::<bool>(),
    ) {
        let world = World::new(2200);
        let mut acknowledged = 0;
        for (op, seed) in cuts {
            world.disk.set_plan(FaultPlan::none().at(op, Fault::PowerCut { keep: Keep::Seeded(seed) }));
            let lease = world.lease();
            let opened = Durable::with_slots(slots).open_or_init(lease, || State::at(0, 0));
            if let Ok(mut durable) = opened {
                prop_assert!(durable.is_whole());
                prop_assert!(durable.step == acknowledged || durable.step == acknowledged + 1);
                acknowledged = durable.step;
                for _ in 0..4 {
                    let step = durable.step + 1;
                    *durable = State::at(step, lens[step as usize % lens.len()]);
                    let committed = if in_background {
                        durable.checkpoint_in_background().and_then(|pending| pending.wait())
                    } else {
                        durable.checkpoint()
                    };
                    if committed.is_err() {
                        break;
                    }
                    acknowledged = step;
                }
            }
            world.disk.power_on().unwrap();
        }
        world.disk.set_plan(FaultPlan::none());
        let found = restored_step(&world);
        prop_assert!(found == acknowledged || found == acknowledged + 1, "{found} after {acknowledged}");
    }
}
