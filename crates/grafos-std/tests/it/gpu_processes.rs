//! Two processes and one local device: who is kept out by which class, who is told what, what a kill leaves.

use std::env;
use std::path::Path;

use fabricbios_core::lease::FenceEpoch;
use fabricbios_core::recovery::Recovery;
use grafos_std::FabricError;
use grafos_std::gpu::{GpuBuilder, GpuExclusivityClass, GpuLease, GpuSession};
use grafos_std::host::{Host, LocalHost};

use super::child::{Child, listen, say};

use GpuExclusivityClass::{DeviceExclusive, SessionExclusive, Shared};

/// The child's part: takes a lease of the class whose code it is told, and opens a session on it when it is told.
pub(crate) fn play_holder() {
    let home = env::var_os("GRAFOS_HOME").unwrap();
    let host = open(Path::new(&home));
    let mut lease: Option<GpuLease> = None;
    let mut sessions = Vec::new();
    for order in listen() {
        match order.as_str() {
            "session" => {
                let mut session = GpuSession::new(lease.as_ref().unwrap());
                match session.mem_alloc(8) {
                    Ok(memory) => {
                        sessions.push((session, memory));
                        say("open");
                    }
                    Err(error) => say(&error.to_string()),
                }
            }
            "close" => {
                sessions.clear();
                say("closed");
            }
            code => match acquire(&host, GpuExclusivityClass::try_from(code.parse::<u8>().unwrap()).unwrap())
            {
                Ok(granted) => {
                    say(&granted.epoch().to_string());
                    lease = Some(granted);
                }
                Err(error) => say(&error.to_string()),
            },
        }
    }
}

/// The child's part: opens the host that the environment describes.
pub(crate) fn play_chooser() {
    match LocalHost::open().and_then(|host| host.gpu_host().devices()) {
        Ok(devices) => say(&devices[0].name),
        Err(error) => say(&error.to_string()),
    }
}

struct Holder {
    child: Child,
    epoch: FenceEpoch,
}

impl Holder {
    fn start(home: &Path, class: GpuExclusivityClass) -> Self {
        let mut child = Child::start("gpu-holder", home);
        let epoch = child.ask(&class.code().to_string());
        Self { child, epoch: FenceEpoch(epoch.parse().unwrap_or_else(|_| panic!("{epoch}"))) }
    }

    fn assert_named_in(&self, error: &FabricError) {
        let pid = self.child.pid();
        assert_eq!(error.recovery(), Recovery::RetryLater, "{error}");
        assert!(
            matches!(error, FabricError::Held { holder_pid: Some(found), .. } if *found == pid),
            "{error}, not {pid}"
        );
    }
}

fn open(home: &Path) -> Host {
    LocalHost::builder().home(home).open().unwrap()
}

fn acquire(host: &Host, class: GpuExclusivityClass) -> grafos_std::Result<GpuLease> {
    GpuBuilder::new().on(host).min_vram(1 << 20).exclusivity(class).acquire()
}

#[test]
fn leases_of_two_processes_keep_out_whom_they_should() {
    let home = tempfile::tempdir().unwrap();
    let host = open(home.path());
    let mut last_epoch = FenceEpoch(0);
    for theirs in [Shared, SessionExclusive, DeviceExclusive] {
        let holder = Holder::start(home.path(), theirs);
        assert!(holder.epoch > last_epoch);
        last_epoch = holder.epoch;
        for ours in [Shared, SessionExclusive, DeviceExclusive] {
            match acquire(&host, ours) {
                Ok(lease) => {
                    assert!(theirs != DeviceExclusive && ours != DeviceExclusive, "{ours} beside {theirs}");
                    assert!(lease.epoch() > last_epoch, "{} after {last_epoch}", lease.epoch());
                    last_epoch = lease.epoch();
                }
                Err(error) => {
                    assert!(theirs == DeviceExclusive || ours == DeviceExclusive, "{ours} beside {theirs}");
                    if theirs == DeviceExclusive {
                        holder.assert_named_in(&error);
                    } else {
                        assert!(matches!(error, FabricError::Held { .. }), "{error}");
                    }
                }
            }
        }
        assert!(holder.child.close().success());
    }
    acquire(&host, DeviceExclusive).unwrap();
}

#[test]
fn sessions_of_two_processes_keep_out_whom_they_should() {
    let home = tempfile::tempdir().unwrap();
    let host = open(home.path());
    for (theirs, ours) in [(Shared, Shared), (Shared, SessionExclusive), (SessionExclusive, Shared)] {
        let mut holder = Holder::start(home.path(), theirs);
        let lease = acquire(&host, ours).unwrap();
        assert_eq!(holder.child.ask("session"), "open");
        let mut session = GpuSession::new(&lease);
        let opened = session.mem_alloc(8);
        if (theirs, ours) == (Shared, Shared) {
            opened.unwrap();
        } else {
            holder.assert_named_in(&opened.unwrap_err());
        }
        assert_eq!(holder.child.ask("close"), "closed");
        session.mem_alloc(8).unwrap();

        let answer = holder.child.ask("session");
        let is_open = (theirs, ours) == (Shared, Shared);
        assert_eq!(answer == "open", is_open, "{theirs} beside {ours}: {answer}");
        let pid = std::process::id();
        assert!(is_open || answer.contains(&format!("holder_pid={pid}")), "{answer}");
    }
}

#[test]
fn the_device_of_a_killed_process_is_free_at_once() {
    let home = tempfile::tempdir().unwrap();
    let host = open(home.path());
    let mut last_epoch = FenceEpoch(0);
    for class in [DeviceExclusive, SessionExclusive, Shared, DeviceExclusive, SessionExclusive] {
        let mut holder = Holder::start(home.path(), class);
        assert!(holder.epoch > last_epoch);
        assert_eq!(holder.child.ask("session"), "open");
        let epoch = holder.epoch;
        holder.child.kill();
        let lease = acquire(&host, DeviceExclusive).unwrap();
        assert!(lease.epoch() > epoch, "{} after {epoch}", lease.epoch());
        last_epoch = lease.epoch();
        GpuSession::new(&lease).mem_alloc(8).unwrap();
        drop(lease);
        let lease = acquire(&host, SessionExclusive).unwrap();
        GpuSession::new(&lease).mem_alloc(8).unwrap();
        last_epoch = last_epoch.max(lease.epoch());
    }
}

#[test]
fn two_hosts_of_one_process_with_one_home_know_of_each_other() {
    let home = tempfile::tempdir().unwrap();
    let (one, other) = (open(home.path()), open(home.path()));
    let lease = acquire(&one, DeviceExclusive).unwrap();
    let error = acquire(&other, Shared).unwrap_err();
    let own = std::process::id();
    assert!(matches!(error, FabricError::Held { holder_pid: Some(pid), .. } if pid == own), "{error}");
    drop(lease);
    acquire(&other, DeviceExclusive).unwrap();
}

#[test]
fn a_damaged_record_of_a_device_skips_an_epoch_or_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let host = open(home.path());
    for _ in 0..3 {
        acquire(&host, Shared).unwrap();
    }
    let path = home.path().join("gpu/device-0.lock");
    let mut bytes = std::fs::read(&path).unwrap();
    // The newest record, number 3, lies in slot 1.
    bytes[4096 + 40] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(acquire(&host, Shared).unwrap().epoch(), FenceEpoch(4), "epoch 3 was granted and is lost");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    bytes[4096 + 40] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = acquire(&host, Shared).unwrap_err();
    assert!(matches!(error, FabricError::DamagedRecord { .. }), "{error}");
}

#[test]
fn the_environment_chooses_the_host_or_is_told_what_is_missing() {
    let home = tempfile::tempdir().unwrap();
    for value in ["", "host"] {
        let mut child = Child::start_with("gpu-chooser", home.path(), &[("GRAFOS_GPU", value)]);
        assert_eq!(child.hear(), "grafos local GPU");
    }
    let mut child = Child::start_with("gpu-chooser", home.path(), &[("GRAFOS_GPU", "cuda:0")]);
    let said = child.hear();
    assert!(said.contains("GRAFOS_GPU=cuda:0") && said.contains("grafos-gpu-cuda"), "{said}");
}
