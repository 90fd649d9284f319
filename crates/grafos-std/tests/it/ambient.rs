//! Which host a builder finds: the scope of its thread, else the installed one, else the local one of the user.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use fabricbios_core::clock::{Clock, ManualClock};
use grafos_std::block::BlockBuilder;
use grafos_std::host::testing::RamBlockHost;
use grafos_std::host::{AlreadyInstalled, Host, RevokeOutcome, VolumeName};
use grafos_std::mem::MemBuilder;

use super::child::Child;

/// A host in memory, and a way to see which volumes were made on it.
struct Seen {
    host: Host,
    ram: RamBlockHost,
}

impl Seen {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let ram = RamBlockHost::new(Arc::clone(&clock));
        let host = Host::builder().block(Arc::new(ram.clone())).clock(clock).build().unwrap();
        Self { host, ram }
    }

    fn has(&self, volume: &str) -> bool {
        self.ram.image(&volume.parse::<VolumeName>().unwrap()).is_some()
    }
}

fn make(volume: &str) {
    BlockBuilder::new().volume(volume).acquire().unwrap();
}

#[test]
fn the_innermost_scope_decides_and_ends_where_it_ends() {
    let (outer, inner) = (Seen::new(), Seen::new());
    outer.host.scope(|| {
        make("before");
        inner.host.scope(|| make("inside"));
        make("after");
    });
    assert!(outer.has("before") && outer.has("after") && !outer.has("inside"));
    assert!(inner.has("inside") && !inner.has("before") && !inner.has("after"));
}

#[test]
fn a_panic_leaves_the_scope() {
    let (outer, inner) = (Seen::new(), Seen::new());
    outer.host.scope(|| {
        let panicked = catch_unwind(AssertUnwindSafe(|| inner.host.scope(|| panic!("inside the scope"))));
        assert!(panicked.is_err());
        make("after-the-panic");
    });
    assert!(outer.has("after-the-panic") && !inner.has("after-the-panic"));
}

#[test]
fn an_explicit_host_goes_before_every_scope() {
    let (scoped, explicit) = (Seen::new(), Seen::new());
    scoped.host.scope(|| {
        let lease = BlockBuilder::new().on(&explicit.host).volume("explicit").acquire().unwrap();
        thread::scope(|threads| {
            threads.spawn(|| BlockBuilder::new().on(&explicit.host).volume("thread").acquire().unwrap());
        });
        drop(lease);
    });
    assert!(explicit.has("explicit") && explicit.has("thread"));
    assert!(!scoped.has("explicit") && !scoped.has("thread"));
}

#[test]
fn a_scope_answers_with_its_value_and_every_kind_of_lease_comes_from_its_host() {
    let seen = Seen::new();
    let (block, mem) = seen.host.scope(|| {
        let block = BlockBuilder::new().acquire().unwrap();
        (block, MemBuilder::new().min_bytes(8).acquire().unwrap())
    });
    assert_eq!(seen.host.revoke(block.lease_id()).unwrap(), RevokeOutcome::TornDown);
    assert_eq!(seen.host.revoke(mem.lease_id()).unwrap(), RevokeOutcome::TornDown);
    assert_eq!(seen.host.revoke(mem.lease_id()).unwrap(), RevokeOutcome::NotFound);
    assert!(block.block().flush().is_err() && mem.mem().read(0, 1).is_err());
}

#[test]
fn a_host_is_installed_once_for_all_threads_and_scopes_go_before_it() {
    let home = tempfile::tempdir().unwrap();
    assert!(Child::start("installer", home.path()).close().success());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "the local host was never opened");
}

/// The child's part: the installed host is one for the whole process, so it needs a process of its own.
pub(crate) fn play_installer() {
    let (installed, late, scoped) = (Seen::new(), Seen::new(), Seen::new());
    installed.host.clone().install().unwrap();
    assert_eq!(late.host.install(), Err(AlreadyInstalled));
    make("main");
    thread::spawn(|| make("thread")).join().unwrap();
    assert!(installed.has("main") && installed.has("thread"));

    scoped.host.scope(|| {
        make("scoped");
        thread::scope(|threads| {
            threads.spawn(|| make("thread-in-scope"));
        });
    });
    assert!(scoped.has("scoped") && !installed.has("scoped"));
    assert!(installed.has("thread-in-scope"), "threads do not inherit a scope");
    make("after");
    assert!(installed.has("after"));
}

#[test]
fn without_a_choice_volumes_are_in_the_home_directory() {
    let home = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        assert!(Child::start("without-host", home.path()).close().success());
    }
}

/// The child's part: counts its runs on a volume of the ambient host.
pub(crate) fn play_program_without_a_host() {
    let lease = BlockBuilder::new().volume("runs").acquire().unwrap();
    let mut block = [0; 512];
    lease.block().read_block(0, &mut block).unwrap();
    let home = env::var_os("GRAFOS_HOME").unwrap();
    assert!(Path::new(&home).join("volumes").join("runs").is_dir());
    assert_eq!(u64::from(block[0]) + 1, lease.epoch().0, "as many runs as holders");
    block[0] += 1;
    lease.block().write_block(0, &block).unwrap();
    lease.block().flush().unwrap();
}
