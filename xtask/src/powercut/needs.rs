//! What the rig needs of the machine. Whether it is there is found out before anything is started.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Command;

use crate::step;

/// Programs, with the Debian packages that have them.
const PROGRAMS: &[(&str, &str)] = &[
    ("qemu-storage-daemon", "qemu-utils"),
    ("mkfs.ext4", "e2fsprogs"),
    ("e2fsck", "e2fsprogs"),
    ("mount", "mount"),
    ("umount", "mount"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
];

/// Devices, with what they are for.
const DEVICES: &[(&str, &str)] = &[("/dev/fuse", "FUSE"), ("/dev/loop-control", "loop devices")];

/// What is missing here, each in words. Empty if all is there.
pub(crate) fn missing() -> Vec<String> {
    if !rustix::process::geteuid().is_root() {
        return vec!["root, FUSE and loop devices (it is run by another user)".to_owned()];
    }
    let is_program = |name: &str| {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).any(|folder| folder.join(name).is_file())
    };
    let programs = PROGRAMS.iter().filter(|(name, _)| !is_program(name));
    let mut missing: Vec<_> =
        programs.map(|(name, package)| format!("`{name}` (package {package})")).collect();
    let is_device = |path: &str| OpenOptions::new().read(true).write(true).open(Path::new(path)).is_ok();
    let devices = DEVICES.iter().filter(|(path, _)| !is_device(path));
    missing.extend(devices.map(|(path, use_of)| format!("{use_of} ({path})")));
    let mut unshare = Command::new("unshare");
    if missing.is_empty()
        && step::capture(unshare.args(["--mount", "--propagation", "private", "--", "true"])).is_err()
    {
        missing.push("the right to make mount namespaces (CAP_SYS_ADMIN)".to_owned());
    }
    missing
}
