//! Locking a volume that goes away in the middle of it.

use std::fs;

use tempfile::TempDir;

use super::*;

fn home_with_volume() -> (TempDir, Home, VolumeName) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    let name = VolumeName::new("v").unwrap();
    LockedVolume::lock_or_make(&home, &name).unwrap();
    (dir, home, name)
}

/// As somebody who has opened the files and not locked them yet.
fn opened(home: &Home, name: &VolumeName) -> (SecureDir, LeaseFile) {
    look(home, name, Access::ReadWrite).unwrap().unwrap()
}

#[test]
fn a_volume_that_was_removed_before_it_was_locked_is_not_had() {
    let (_dir, home, name) = home_with_volume();
    let (dir, lease) = opened(&home, &name);
    LockedVolume::lock_existing(&home, &name).unwrap().unwrap().remove(&home).unwrap();
    assert!(LockedVolume::lock(&home, &name, dir, lease).unwrap().is_none());
    assert!(LockedVolume::lock_existing(&home, &name).unwrap().is_none());
}

#[test]
fn a_volume_that_was_replaced_before_it_was_locked_is_not_had() {
    let (_dir, home, name) = home_with_volume();
    let (dir, lease) = opened(&home, &name);
    LockedVolume::lock_existing(&home, &name).unwrap().unwrap().remove(&home).unwrap();
    let new = LockedVolume::lock_or_make(&home, &name).unwrap();
    assert!(LockedVolume::lock(&home, &name, dir, lease).unwrap().is_none());
    drop(new);
}

#[test]
fn a_volume_that_was_renamed_before_it_was_locked_is_not_had_under_the_old_name() {
    let (temp, home, name) = home_with_volume();
    let (dir, lease) = opened(&home, &name);
    fs::rename(temp.path().join("volumes/v"), temp.path().join("volumes/w")).unwrap();
    assert!(LockedVolume::lock(&home, &name, dir, lease).unwrap().is_none());
}

#[test]
fn a_lease_file_that_was_replaced_before_it_was_locked_is_not_had() {
    let (temp, home, name) = home_with_volume();
    let (dir, lease) = opened(&home, &name);
    let path = temp.path().join("volumes/v/lease");
    fs::copy(&path, temp.path().join("copy")).unwrap();
    fs::rename(temp.path().join("copy"), path).unwrap();
    assert!(LockedVolume::lock(&home, &name, dir, lease).unwrap().is_none());
}

#[test]
fn whoever_dies_while_removing_leaves_a_whole_volume_or_none() {
    let (temp, home, name) = home_with_volume();
    let volume = LockedVolume::lock_existing(&home, &name).unwrap().unwrap();
    // The one step of a removal that can be seen under the name of the volume.
    home.volumes().rename("v", ".removed-1").unwrap();
    drop(volume);
    assert!(LockedVolume::lock_existing(&home, &name).unwrap().is_none());
    LockedVolume::lock_or_make(&home, &name).unwrap();
    sweep(&home, &home.volumes().names(10).unwrap()).unwrap();
    assert_eq!(home.volumes().names(10).unwrap(), ["v"]);
    assert!(temp.path().join("volumes/v/lease").is_file());
}
