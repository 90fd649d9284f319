//! Every call of the driver is made to fail, at every place where the scenario makes it: the error is typed, nothing
//! panics, nothing is left but what the error says, and the process goes on with a new session.

use std::panic::{AssertUnwindSafe, catch_unwind};

use grafos_gpu_cuda::CudaHost;
use grafos_std::error::FabricError;
use grafos_std::gpu::GpuFault;
use grafos_std::host::GpuHost;

use super::standin::{Control, Library, Live};
use super::{child, scenario};

/// One of each class: caller, memory, image, kernel, device memory, device, driver, and one that nobody knows.
const CODES: &[u32] = &[1, 2, 218, 700, 214, 46, 999, 987_654];
/// What later calls of the same function answer: too little, a lost context, anything else.
const LATER_CODES: &[u32] = &[2, 700, 999];
/// A function that is called more often is disturbed at so many of its calls, and at the last one.
const LATER_CALLS: u64 = 12;

/// In the child.
pub(crate) fn play() {
    let host = CudaHost::open(0).unwrap();
    scenario::run(&host).unwrap();
    let control = Control::load();
    let idle = control.live();
    assert_eq!(idle, Live::default(), "the scenario itself leaves nothing");
    let (mut failed, mut survived) = (0, 0);
    for function in control.functions() {
        // The start is over; `unavailable` disturbs it.
        let before = control.calls(&function);
        scenario::run(&host).unwrap();
        let calls = control.calls(&function) - before;
        let stride = calls.div_ceil(LATER_CALLS).max(1);
        for nth in (1..=calls).filter(|nth| nth % stride == 1 % stride || *nth == calls) {
            for &code in if nth == 1 { CODES } else { LATER_CODES } {
                match disturb(&host, &control, &function, nth, code) {
                    true => failed += 1,
                    false => survived += 1,
                }
            }
        }
    }
    println!("disturbed: failed={failed}, survived={survived}");
    assert!(failed > 300, "too few calls were made to fail: failed={failed}, survived={survived}");
}

/// Whether the scenario failed.
fn disturb(host: &CudaHost, control: &Control, function: &str, nth: u64, code: u32) -> bool {
    let what = format!("call {nth} of {function} answers {code}");
    let (before, lost_before) = (control.live(), host.lost_contexts());
    control.fail(function, nth, code);
    let outcome = catch_unwind(AssertUnwindSafe(|| scenario::run(host)));
    control.forget_faults();
    let outcome = outcome.unwrap_or_else(|_| panic!("{what}: a panic"));
    if let Err(error) = &outcome {
        check_error(error, code, &what);
    }
    let usage = host.usage().unwrap();
    assert!(usage.is_idle(), "{what}: {usage:?}");
    let (after, lost) = (control.live(), host.lost_contexts() - lost_before);
    if lost == 0 {
        assert_eq!(
            Live { mistakes: 0, ..after },
            Live { mistakes: 0, ..before },
            "{what}: something is left"
        );
    } else {
        assert_eq!(
            (lost, after.contexts),
            (1, before.contexts + 1),
            "{what}: more than one context was lost"
        );
        assert!(function.starts_with("cuCtx"), "{what}: a context was lost");
    }
    scenario::run_shortly(host)
        .unwrap_or_else(|error| panic!("{what}: a new session does not work: {error}"));
    outcome.is_err()
}

fn check_error(error: &FabricError, code: u32, what: &str) {
    let fits = match error {
        FabricError::GpuSessionFailed { fault, .. } => match fault.as_ref() {
            GpuFault::Kernel(_) => code == 700,
            GpuFault::Ecc { .. } => code == 214,
            GpuFault::DeviceLost { .. } => code == 46,
            GpuFault::Driver { code: said, .. } => *said == code,
            _ => false,
        },
        FabricError::CapacityExceeded { .. } => code == 2,
        FabricError::Gpu(_) => matches!(code, 1 | 46 | 218),
        _ => false,
    };
    assert!(fits, "{what}: {error:?}");
    assert!(!error.to_string().is_empty());
}

#[test]
fn every_call_of_the_driver_may_fail() {
    let said = child::run("every-call-fails", &Library::standin(), &[]);
    println!("{}", said.lines().find(|line| line.contains("disturbed:")).unwrap_or_default());
}

/// In the child: the driver holds the fault of a kernel against the whole process.
pub(crate) fn play_process_wide_fault() {
    use grafos_std::gpu::{GpuBuilder, GpuSession, KernelArgs};
    let host = CudaHost::open(0).unwrap();
    let front = scenario::front(&host).unwrap();
    let lease = GpuBuilder::new().on(&front).acquire().unwrap();
    let mut session = GpuSession::new(&lease);
    let module = session.module_load(scenario::PTX).unwrap();
    session.launch_with_args(&module, "traps", [1; 3], [1; 3], KernelArgs::new()).unwrap();
    assert!(matches!(session.sync(), Err(FabricError::GpuSessionFailed { code: 1, .. })));
    drop((module, session));
    let refused = GpuSession::new(&lease).mem_alloc(1).unwrap_err();
    assert!(matches!(refused, FabricError::GpuSessionFailed { code: 1, .. }), "{refused:?}");
    drop(lease);
    assert!(host.usage().unwrap().is_idle());
    assert_eq!(Control::load().live(), Live::default());
}

#[test]
fn a_fault_that_the_driver_holds_against_the_process_is_told_by_every_later_session() {
    let variables = [("GRAFOS_STANDIN_FAULT_SCOPE", "process")];
    child::run("process-wide-fault", &Library::standin(), &variables);
}
