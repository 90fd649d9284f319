//! [`LocalHost`]: puts the backends of this machine together.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use fabricbios_core::clock::{Clock, SystemClock};

use super::home::{self, Home};
use super::{LocalBlockHost, LocalGpuHost, LocalGpuHostBuilder, LocalMemHost};
use crate::error::{FabricError, Result};
use crate::gpu::{GpuError, UnavailableReason};
use crate::host::Host;

/// This machine as a host: volumes are files in the user's home directory for them, memory is this process's own, the
/// GPU is the processor ([`LocalGpuHost`]).
///
/// ```
/// use grafos_std::host::LocalHost;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
///
/// let host = LocalHost::builder().home(path).open()?;
/// # let _ = host;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LocalHost;

impl LocalHost {
    /// The host as the user's environment describes it:
    /// - `GRAFOS_HOME` names the home directory, as an absolute path; else it is `$XDG_STATE_HOME/grafos`, else
    ///   `~/.local/state/grafos` (on macOS `~/Library/Application Support/grafos`);
    /// - `GRAFOS_IO` is `auto` or `buffered`, see [`IoMode`];
    /// - `GRAFOS_GPU` is `host`. Others, such as `cuda:0`, are for programs that open their host with `grafos-gpu-cuda`.
    ///
    /// An empty variable counts as none. A directory that does not exist is made.
    ///
    /// # Errors
    /// [`FabricError::InvalidRequest`] for a variable of another form, [`FabricError::Gpu`] with
    /// [`Unavailable`](GpuError::Unavailable) for a GPU that is not the host's, and those of
    /// [`LocalHostBuilder::open`].
    pub fn open() -> Result<Host> {
        check_gpu(env::var_os("GRAFOS_GPU"))?;
        Self::builder().io_mode(io_mode_of(env::var_os("GRAFOS_IO"))?).open()
    }

    /// A host with choices of the program's own. It reads `GRAFOS_HOME` if no home is given, and no other variable.
    pub fn builder() -> LocalHostBuilder {
        LocalHostBuilder::default()
    }
}

/// How volumes are read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoMode {
    /// Direct I/O where system and file system have it, else as [`Buffered`](Self::Buffered).
    #[default]
    Auto,
    /// Through the operating system's page cache, which works everywhere.
    Buffered,
}

fn io_mode_of(variable: Option<OsString>) -> Result<IoMode> {
    let Some(value) = variable else { return Ok(IoMode::Auto) };
    match value.to_str() {
        Some("" | "auto") => Ok(IoMode::Auto),
        Some("buffered") => Ok(IoMode::Buffered),
        _ => Err(FabricError::InvalidRequest {
            what: "GRAFOS_IO",
            expected: "`auto` or `buffered`",
            found: value.to_string_lossy().chars().take(64).collect(),
        }),
    }
}

/// A GPU that this crate can't give is refused: a program that was told to use a device must not run without it
/// unnoticed.
fn check_gpu(variable: Option<OsString>) -> Result<()> {
    let Some(value) = variable else { return Ok(()) };
    match value.to_str() {
        Some("" | "host") => Ok(()),
        _ => Err(GpuError::Unavailable {
            reason: UnavailableReason::NoBackend,
            message: format!(
                "GRAFOS_GPU={} needs a program that is built with grafos-gpu-cuda; unset it, or set it to `host`",
                value.to_string_lossy().chars().take(64).collect::<String>()
            ),
        }
        .into()),
    }
}

/// Describes a [`LocalHost`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is opened before `open`"]
pub struct LocalHostBuilder {
    home: Option<PathBuf>,
    clock: Option<Arc<dyn Clock>>,
    io_mode: IoMode,
    mem_limit_bytes: Option<u64>,
    gpu: LocalGpuHostBuilder,
}

impl LocalHostBuilder {
    /// Keeps the volumes there and not in the user's usual place. A relative path is resolved when the host is
    /// opened. A directory that does not exist is made; an empty one is made private to its owner; one with
    /// contents must be private already.
    pub fn home(mut self, path: impl Into<PathBuf>) -> Self {
        self.home = Some(path.into());
        self
    }

    /// Judges leases by this clock and not the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How volumes are read and written.
    pub fn io_mode(mut self, mode: IoMode) -> Self {
        self.io_mode = mode;
        self
    }

    /// How much memory all leases together may hold, in bytes; see [`LocalMemHost`].
    pub fn mem_limit_bytes(mut self, limit: u64) -> Self {
        self.mem_limit_bytes = Some(limit);
        self
    }

    /// The GPUs, see [`LocalGpuHost`]. Their home directory and clock are those of this host, unless they have been
    /// given others.
    pub fn gpu(mut self, gpu: LocalGpuHostBuilder) -> Self {
        self.gpu = gpu;
        self
    }

    /// The host, with its home directory made if need be.
    ///
    /// # Errors
    /// [`FabricError::InvalidRequest`] if no home directory can be named, [`FabricError::InsecureHome`] if somebody
    /// else could read or change it, [`FabricError::IoError`].
    pub fn open(self) -> Result<Host> {
        let clock = self.clock_or_system();
        let mem = self.mem_limit_bytes.map_or_else(LocalMemHost::default, LocalMemHost::with_limit_bytes);
        let home = self.home_path()?;
        let gpu: LocalGpuHost = self.gpu.default_home(home.clone()).default_clock(&clock).build()?;
        let block = LocalBlockHost::open(&home, self.io_mode, Arc::clone(&clock))?;
        Host::builder().block(Arc::new(block)).mem(Arc::new(mem)).gpu(Arc::new(gpu)).clock(clock).build()
    }

    /// Only the backend for volumes, for a program that lists or removes them.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn open_block_host(self) -> Result<LocalBlockHost> {
        LocalBlockHost::open(&self.home_path()?, self.io_mode, self.clock_or_system())
    }

    /// Only the home directory, made and found private, for what else a program keeps of its user's. The path has no
    /// links in it.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn open_home(self) -> Result<PathBuf> {
        let home = Home::open(&self.home_path()?)?;
        home.sync()?;
        Ok(home.path().to_owned())
    }

    /// Where the home is. Absolute, since files in it are opened later, too.
    fn home_path(&self) -> Result<PathBuf> {
        let path = match &self.home {
            Some(path) => path.clone(),
            None => home::locate(|name| env::var_os(name), env::home_dir)?,
        };
        std::path::absolute(&path).map_err(|error| FabricError::io("resolve", &path, error))
    }

    fn clock_or_system(&self) -> Arc<dyn Clock> {
        self.clock.clone().unwrap_or_else(|| Arc::new(SystemClock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gpu_variable_takes_the_host_and_says_what_others_need() {
        check_gpu(None).unwrap();
        for known in ["", "host"] {
            check_gpu(Some(known.into())).unwrap();
        }
        for other in ["cuda:0", "cuda", "Host", "gpu"] {
            let error = check_gpu(Some(other.into())).unwrap_err();
            assert!(matches!(&error, FabricError::Gpu(GpuError::Unavailable { .. })), "{error}");
            assert!(error.to_string().contains(&format!("GRAFOS_GPU={other} ")), "{error}");
            assert!(error.to_string().contains("grafos-gpu-cuda"), "{error}");
        }
    }

    #[test]
    fn the_home_alone_can_be_opened_and_is_private_and_without_links() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let (real, link) = (temp.path().join("real"), temp.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let home = LocalHost::builder().home(&link).open_home().unwrap();
        assert_eq!(home, real.canonicalize().unwrap());
        assert_eq!(std::fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755)).unwrap();
        let refused = LocalHost::builder().home(&link).open_home().unwrap_err();
        assert!(matches!(refused, FabricError::InsecureHome { .. }), "{refused}");
    }

    #[test]
    fn the_io_variable_takes_two_words_and_refuses_others() {
        let mode = |value: &str| io_mode_of(Some(value.into()));
        assert_eq!(io_mode_of(None).unwrap(), IoMode::Auto);
        assert_eq!(mode("").unwrap(), IoMode::Auto);
        assert_eq!(mode("auto").unwrap(), IoMode::Auto);
        assert_eq!(mode("buffered").unwrap(), IoMode::Buffered);
        for other in ["Buffered", "direct", " auto"] {
            let error = mode(other).unwrap_err();
            assert!(
                matches!(&error, FabricError::InvalidRequest { what: "GRAFOS_IO", found, .. } if found == other),
                "{error}"
            );
        }
    }
}
