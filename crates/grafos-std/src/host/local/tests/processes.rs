//! Two processes and one volume.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use fabricbios_core::clock::SystemClock;

use super::*;

/// Tells a copy of this test program to hold a volume in the home that it names.
const HOLD_IN: &str = "GRAFOS_TEST_HOLD_IN";
const HELD: &str = "held with epoch ";

/// In the copy: takes the volume, says so, and waits for its end.
fn hold_until_killed(home: PathBuf) {
    let host = LocalHost::builder().home(home).clock(Arc::new(SystemClock)).open_block_host().unwrap();
    let grant = host.acquire(&request("v", 4)).unwrap();
    grant.blocks.write(0, &[6; BLOCK_SIZE]).unwrap();
    println!("{HELD}{}", grant.lease.epoch);
    // The other end closes if our parent dies first.
    let _ = std::io::stdin().read(&mut [0]);
}

/// Starts the copy and waits until it holds the volume; returns its epoch.
fn start_holder(home: &Fixture, test: &str) -> (Child, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", test])
        .env(HOLD_IN, home.dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = lines.map(Result::unwrap).filter_map(|line| line.split_once(HELD)?.1.parse().ok());
    let epoch = said.next().expect("the holder ended without holding anything");
    (child, epoch)
}

#[test]
fn a_killed_holder_holds_nothing_and_its_lease_can_be_attached() {
    if let Some(home) = std::env::var_os(HOLD_IN) {
        return hold_until_killed(home.into());
    }
    let home = Fixture::new();
    let host = LocalHost::builder().home(home.dir.path()).open_block_host().unwrap();
    for _ in 0..3 {
        let test =
            "host::local::tests::processes::a_killed_holder_holds_nothing_and_its_lease_can_be_attached";
        let (mut child, epoch) = start_holder(&home, test);
        let error = host.acquire(&request("v", 4)).unwrap_err();
        assert!(
            matches!(&error, FabricError::Held { holder_pid: Some(pid), .. } if *pid == child.id()),
            "{error}"
        );
        let state = host.volumes().unwrap().remove(0).state.unwrap();
        assert_eq!((state.is_held, state.holder_pid, state.epoch.0), (true, Some(child.id()), epoch));

        child.kill().unwrap();
        child.wait().unwrap();
        let state = host.volumes().unwrap().remove(0).state.unwrap();
        assert_eq!((state.is_held, state.holder_pid), (false, None));
        let attached = host.attach(state.lease_id).unwrap();
        assert_eq!(attached.lease.epoch.0, epoch + 1);
        assert_eq!(fills(&attached), [6, 0, 0, 0]);
        drop(attached);
        assert_eq!(host.acquire(&request("v", 4)).unwrap().lease.epoch.0, epoch + 2, "free at once");
    }
}
