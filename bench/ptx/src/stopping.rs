//! How long a kernel that never ends goes on after it was told to stop.

use std::thread;

use grafos_bench_support::{Samples, timed};
use grafos_ptx::{DeviceMemory, Interrupt, Launch, LaunchError, Limits, LoadedModule, Module};

use crate::Result;

/// A kernel that never ends, and how long it took to stop it, in seconds.
#[derive(Debug)]
pub(crate) struct StopResult {
    pub(crate) name: &'static str,
    pub(crate) secs: Samples,
}

/// What the kernels do for ever: an instruction, how often in a round, and words for people.
const KERNELS: [(&str, usize, &str); 4] = [
    ("", 0, "a jump to itself"),
    ("mad.lo.s32 %r2, %r2, 5, 1;", 1000, "arithmetic, 1,000 instructions a round"),
    ("ld.global.u32 %r3, [%rd3]; st.global.u32 [%rd3], %r3;", 1, "loads and stores"),
    ("bar.sync 0;", 1, "barriers of 1,024 threads"),
];

/// How often each kernel is stopped in a round.
const STOPS: u32 = 10;

pub(crate) fn measure(rounds: u32) -> Result<Vec<StopResult>> {
    let memory = DeviceMemory::new(1 << 20);
    let address = memory.alloc(4096)?;
    let stop = |(instruction, count, name)| {
        let module = LoadedModule::new(&Module::load(endless(instruction, count).as_bytes())?, &memory)?;
        let secs = (0..rounds * STOPS).map(|_| stop_once(&module, &memory, address));
        Ok(StopResult { name, secs: secs.collect::<Result<_>>()? })
    };
    KERNELS.into_iter().map(stop).collect()
}

/// A kernel that sets the first word, so that we know that it runs, and then never ends.
fn endless(instruction: &str, count: usize) -> String {
    let body = format!("{instruction}\n").repeat(count);
    format!(
        ".version 6.3\n.target sm_70\n.address_size 64\n.visible .entry endless(.param .u64 flag) {{
        .reg .b32 %r<4>;
        .reg .b64 %rd<4>;
        ld.param.u64 %rd1, [flag];
        mov.u32 %r1, 1;
        st.global.u32 [%rd1], %r1;
        mov.u32 %r2, %tid.x;
        mul.wide.u32 %rd2, %r2, 4;
        add.s64 %rd3, %rd1, %rd2;
        AGAIN:
        {body} bra AGAIN;
        }}"
    )
}

/// Seconds from the order to stop until the launch has returned.
fn stop_once(module: &LoadedModule, memory: &DeviceMemory, address: u64) -> Result<f64> {
    memory.write(address, &[0; 4])?;
    let interrupt = Interrupt::new();
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            let params = address.to_le_bytes();
            let launch = Launch { grid: [8, 1, 1], block: [1024, 1, 1], shared_bytes: 0, params: &params };
            module.launch("endless", &launch, &Limits::default(), &interrupt).outcome
        });
        let mut first = [0; 4];
        while first == [0; 4] && !running.is_finished() {
            memory.read(address, &mut first)?;
            thread::yield_now();
        }
        let (outcome, secs) = timed(|| {
            interrupt.stop();
            running.join()
        });
        match outcome {
            Ok(Err(LaunchError::Cancelled { .. })) => Ok(secs),
            other => Err(format!("the kernel was not stopped but ended: {other:?}").into()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endless_kernel_runs_until_it_is_stopped() {
        let results = measure(1).unwrap();
        assert_eq!(results.len(), KERNELS.len());
        assert!(results.iter().all(|result| result.secs.median() > 0.0));
    }
}
