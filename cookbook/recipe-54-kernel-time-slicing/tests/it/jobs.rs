//! Two jobs on one device: right results, and nothing of each other's.

use std::thread;

use cookbook_recipe_54_kernel_time_slicing::{Job, SLICES, STATE_BYTES, share};
use grafos_std::FabricError;
use grafos_std::host::{Host, LocalHost};
use tempfile::TempDir;

const VRAM: u64 = 1 << 20;

fn host() -> (Host, TempDir) {
    let home = tempfile::tempdir().unwrap();
    (LocalHost::builder().home(home.path()).open().unwrap(), home)
}

/// What so many slices make of a state, by the formula at the head of `kernels/train_step.cu`.
fn trained(first: u8, slices: u64) -> Vec<u8> {
    let mixed = |step: u64, i: u64| {
        let mixed = (step + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(i * 29).rotate_left(23);
        mixed.to_le_bytes()[0]
    };
    let byte = |i| (0..slices).fold(first, |byte, step| byte.wrapping_mul(5).wrapping_add(mixed(step, i)));
    (0..u64::from(STATE_BYTES)).map(byte).collect()
}

#[test]
fn both_jobs_end_with_the_right_state_and_leave_nothing_behind() {
    let (host, _home) = host();
    let ending = share(&host, &mut std::io::sink()).unwrap();
    assert_eq!(ending.slices, [SLICES; 2]);
    assert_eq!(ending.states, [trained(0xA5, SLICES), trained(1, SLICES)]);
    assert_eq!(ending.refused, 3);
    assert!(host.gpu_host().usage().unwrap().is_idle());
}

#[test]
fn many_jobs_at_the_same_time_compute_what_each_computes_alone() {
    let (host, _home) = host();
    let jobs: Vec<Job> = (0..6).map(|first| Job::start(&host, "one of six", VRAM, first).unwrap()).collect();
    let states = thread::scope(|scope| {
        let work = |mut job: Job| {
            for _ in 0..5 {
                job.slice().unwrap();
            }
            job.state().unwrap()
        };
        let threads: Vec<_> = jobs.into_iter().map(|job| scope.spawn(move || work(job))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    for (first, state) in (0..).zip(states) {
        assert_eq!(state, trained(first, 5), "the job that began with {first}");
    }
}

#[test]
fn a_job_that_is_revoked_leaves_the_other_one_alone() {
    let (host, _home) = host();
    let (mut a, mut b) = (Job::start(&host, "A", VRAM, 1).unwrap(), Job::start(&host, "B", VRAM, 2).unwrap());
    let waiting = a.wait_on_the_device().unwrap();
    b.slice().unwrap();
    drop(waiting);
    a.slice().unwrap();
    host.revoke(a.lease().lease_id()).unwrap();
    assert!(matches!(a.slice(), Err(FabricError::Revoked { .. })));
    b.slice().unwrap();
    assert_eq!(b.state().unwrap(), trained(2, 2));
    let usage = host.gpu_host().usage().unwrap();
    assert_eq!((usage.leases, usage.sessions), (1, 1));
}
