//! Things in the home that somebody else may have put there.

use std::os::unix::fs::{PermissionsExt, symlink};

use fabricbios_core::lease::LeaseId;

use super::*;
use crate::host::RevokeOutcome;

fn refused(result: Result<BlockGrant>) -> String {
    match result.unwrap_err() {
        error @ FabricError::InsecureHome { .. } => error.to_string(),
        other => panic!("{other}"),
    }
}

#[test]
fn symbolic_links_are_refused_wherever_they_lead() {
    for (link, leads_nowhere) in
        [("", false), ("lease", false), ("data", false), ("lease", true), ("data", true)]
    {
        let home = Fixture::new();
        drop(home.acquire("v", 1).unwrap());
        let at = if link.is_empty() { home.volume_path("v") } else { home.path("v", link) };
        let elsewhere = home.dir.path().join("elsewhere");
        fs::rename(&at, &elsewhere).unwrap();
        if leads_nowhere {
            fs::remove_file(&elsewhere).unwrap();
        }
        symlink(&elsewhere, &at).unwrap();
        let message = refused(home.acquire("v", 1));
        assert!(message.contains("symbolic link") && message.contains(at.to_str().unwrap()), "{message}");
        assert!(fs::symlink_metadata(&at).unwrap().is_symlink());
        assert!(!leads_nowhere || !elsewhere.exists(), "nothing was made through the link");
        if link != "data" {
            assert!(matches!(home.host().volumes().unwrap()[0].state, Err(FabricError::InsecureHome { .. })));
        }
    }
}

#[test]
fn a_volume_that_others_may_enter_is_refused_with_the_remedy() {
    let home = Fixture::new();
    drop(home.acquire("v", 1).unwrap());
    fs::set_permissions(home.volume_path("v"), fs::Permissions::from_mode(0o755)).unwrap();
    let message = refused(home.acquire("v", 1));
    assert!(message.contains("chmod 700"), "{message}");
}

#[test]
fn new_files_are_for_their_owner_only() {
    let home = Fixture::new();
    drop(home.acquire("v", 1).unwrap());
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.volume_path("v")), 0o700);
    assert_eq!(mode(home.path("v", "lease")), 0o600);
    assert_eq!(mode(home.path("v", "data")), 0o600);
}

#[test]
fn a_pipe_or_a_directory_in_place_of_a_file_is_refused_without_waiting() {
    for file in ["lease", "data"] {
        let home = Fixture::new();
        drop(home.acquire("v", 1).unwrap());
        fs::remove_file(home.path("v", file)).unwrap();
        let made = std::process::Command::new("mkfifo").arg(home.path("v", file)).status();
        assert!(made.unwrap().success());
        refused(home.acquire("v", 1));
        home.host().volumes().unwrap();
        fs::remove_file(home.path("v", file)).unwrap();
        fs::create_dir(home.path("v", file)).unwrap();
        assert!(matches!(home.acquire("v", 1), Err(FabricError::IoError { .. })));
    }
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    if !rustix::process::geteuid().is_root() {
        skip_aloud("only root can give a file away", "GRAFOS_REQUIRE_ROOT");
        return;
    }
    for file in ["lease", "data"] {
        let home = Fixture::new();
        drop(home.acquire("v", 1).unwrap());
        std::os::unix::fs::chown(home.path("v", file), Some(12345), None).unwrap();
        let message = refused(home.acquire("v", 1));
        assert!(message.contains("somebody else"), "{message}");
    }
}

#[test]
fn a_file_in_place_of_a_volume_is_an_error_for_those_who_want_it_and_nothing_to_others() {
    let home = Fixture::new();
    let host = home.host();
    fs::write(home.volume_path("v"), "a file").unwrap();
    assert!(matches!(home.acquire("v", 1), Err(FabricError::IoError { .. })));
    assert!(host.volumes().unwrap().is_empty());
    let unknown = LeaseId(7);
    assert!(
        matches!(host.attach(unknown), Err(FabricError::LeaseNotFound { lease_id }) if lease_id == unknown)
    );
    assert_eq!(host.revoke(unknown).unwrap(), RevokeOutcome::NotFound);
}
