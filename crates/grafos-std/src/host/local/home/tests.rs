//! Where the home is, and whose.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::host::local::tests::skip_aloud;

fn located(variables: &[(&str, &str)], user_home: Option<&str>) -> Result<PathBuf> {
    let variable =
        |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value));
    locate(variable, || user_home.map(PathBuf::from))
}

#[test]
fn the_variable_comes_first_and_must_be_absolute() {
    assert_eq!(located(&[("GRAFOS_HOME", "/data/g")], Some("/home/u")).unwrap(), Path::new("/data/g"));
    let error = located(&[("GRAFOS_HOME", "data/g")], Some("/home/u")).unwrap_err();
    assert!(
        matches!(&error, FabricError::InvalidRequest { what: "GRAFOS_HOME", found, .. } if found == "data/g"),
        "{error}"
    );
}

#[cfg(not(target_os = "macos"))]
#[test]
fn without_it_the_state_directory_of_the_user_is_taken() {
    let default = Path::new("/home/u/.local/state/grafos");
    assert_eq!(located(&[], Some("/home/u")).unwrap(), default);
    assert_eq!(located(&[("GRAFOS_HOME", "")], Some("/home/u")).unwrap(), default);
    assert_eq!(located(&[("XDG_STATE_HOME", "")], Some("/home/u")).unwrap(), default);
    assert_eq!(located(&[("XDG_STATE_HOME", "relative")], Some("/home/u")).unwrap(), default);
    assert_eq!(located(&[("XDG_STATE_HOME", "/s")], None).unwrap(), Path::new("/s/grafos"));
}

#[test]
fn a_user_without_a_home_is_told_what_to_set() {
    for user_home in [None, Some(""), Some("relative")] {
        let error = located(&[], user_home).unwrap_err();
        assert!(error.to_string().contains("GRAFOS_HOME"), "{error}");
    }
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_new_home_is_private_from_the_start_all_the_way_down() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/c");
    Home::open(&path).unwrap().sync().unwrap();
    for made in ["a", "a/b", "a/b/c", "a/b/c/volumes"] {
        assert_eq!(mode_of(&dir.path().join(made)), 0o700, "{made}");
    }
    Home::open(&path).unwrap();
}

#[test]
fn an_empty_directory_is_made_private_and_one_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    set_mode(dir.path(), 0o755);
    Home::open(dir.path()).unwrap();
    assert_eq!(mode_of(dir.path()), 0o700);

    for mode in [0o755, 0o750, 0o701, 0o777] {
        set_mode(dir.path(), mode);
        let error = Home::open(dir.path()).unwrap_err();
        assert!(matches!(error, FabricError::InsecureHome { .. }), "{error}");
        assert!(error.to_string().contains("chmod 700"), "{error}");
        assert_eq!(mode_of(dir.path()), mode, "it stays as it is");
    }
    set_mode(dir.path(), 0o700);
    Home::open(dir.path()).unwrap();
}

#[test]
fn the_directory_of_volumes_is_looked_at_as_well() {
    let dir = tempfile::tempdir().unwrap();
    Home::open(dir.path()).unwrap();
    set_mode(&dir.path().join("volumes"), 0o755);
    assert!(matches!(Home::open(dir.path()), Err(FabricError::InsecureHome { .. })));
}

#[test]
fn the_home_may_be_reached_through_a_link_and_its_insides_may_not() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    Home::open(&real).unwrap();
    symlink(&real, &link).unwrap();
    Home::open(&link).unwrap();

    fs::rename(real.join("volumes"), dir.path().join("elsewhere")).unwrap();
    symlink(dir.path().join("elsewhere"), real.join("volumes")).unwrap();
    let error = Home::open(&real).unwrap_err();
    assert!(matches!(error, FabricError::InsecureHome { .. }), "{error}");
    assert!(error.to_string().contains("symbolic link"), "{error}");
}

#[test]
fn a_home_that_belongs_to_somebody_else_is_refused() {
    if !rustix::process::geteuid().is_root() {
        skip_aloud("only root can give a directory away", "GRAFOS_REQUIRE_ROOT");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(dir.path(), Some(12345), None).unwrap();
    let error = Home::open(dir.path()).unwrap_err();
    assert!(matches!(error, FabricError::InsecureHome { .. }), "{error}");
    assert!(error.to_string().contains("somebody else"), "{error}");
}
