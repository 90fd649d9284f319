//! [`Engine`]: where registers and replicas are: one value, chosen by the application.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, OnceLock};
#[cfg(feature = "embedded")]
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "embedded")]
use crate::embedded::{EmbeddedHome, SqliteMetadataStore};
use crate::error::{ReplicatedError, StoreError};
use crate::metadata_store::MetadataStore;
use crate::payload_replica::PayloadReplica;
use crate::placement::ReplicaLocator;
use crate::ring::Nonce;

static INSTALLED: OnceLock<Engine> = OnceLock::new();

thread_local! {
    static SCOPES: RefCell<Vec<Engine>> = const { RefCell::new(Vec::new()) };
}

/// Opens the replicas that locators name.
pub trait ReplicaSource: fmt::Debug + Send + Sync {
    /// The replica, made if it is new. Asked before every use, so that a replica that went away and came back is found
    /// again: a source keeps what it has opened for as long as that is good.
    ///
    /// # Errors
    /// Any [`StoreError`]; the resource is used without it then, as long as its quorums are met.
    fn open(&self, locator: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError>;
}

/// A store of registers and a source of replicas. Cheap to clone.
///
/// `ReplicatedCheckpoint::new` takes the engine in [scope](Self::scope), else the [installed](Self::install) one, else
/// the embedded one under the user's home directory.
#[derive(Clone, Debug)]
pub struct Engine {
    registers: Arc<dyn MetadataStore>,
    replicas: Arc<dyn ReplicaSource>,
}

impl Engine {
    /// An engine of these parts.
    pub fn new(registers: Arc<dyn MetadataStore>, replicas: Arc<dyn ReplicaSource>) -> Self {
        Self { registers, replicas }
    }

    /// Makes this the engine of the whole program. For applications, early in `main`; libraries leave it alone.
    ///
    /// # Errors
    /// [`AlreadyInstalled`] the second time.
    pub fn install(self) -> Result<(), AlreadyInstalled> {
        INSTALLED.set(self).map_err(|_| AlreadyInstalled)
    }

    /// Runs `work` with this engine in place of the ambient one, on this thread only. Scopes nest.
    pub fn scope<R>(&self, work: impl FnOnce() -> R) -> R {
        struct LeaveOnDrop;
        impl Drop for LeaveOnDrop {
            fn drop(&mut self) {
                SCOPES.with_borrow_mut(|scopes| scopes.pop());
            }
        }
        SCOPES.with_borrow_mut(|scopes| scopes.push(self.clone()));
        let _leave = LeaveOnDrop;
        work()
    }

    /// The engine that a resource would use on this thread, now.
    ///
    /// # Errors
    /// Those of the embedded engine, when no other is in scope or installed.
    pub fn current() -> Result<Self, ReplicatedError> {
        if let Some(scoped) = SCOPES.with_borrow(|scopes| scopes.last().cloned()) {
            return Ok(scoped);
        }
        if let Some(installed) = INSTALLED.get() {
            return Ok(installed.clone());
        }
        Self::default_of_user()
    }

    /// The embedded engine under the user's home directory, opened once.
    #[cfg(feature = "embedded")]
    fn default_of_user() -> Result<Self, ReplicatedError> {
        static OPENED: Mutex<Option<Engine>> = Mutex::new(None);
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*opened {
            return Ok(engine.clone());
        }
        let engine = Self::from(EmbeddedHome::open()?);
        Ok(opened.insert(engine).clone())
    }

    #[cfg(not(feature = "embedded"))]
    fn default_of_user() -> Result<Self, ReplicatedError> {
        let reason = "no engine is installed or in scope, and this program has no embedded one".to_owned();
        Err(StoreError::Unavailable { reason }.into())
    }

    /// The store of registers.
    #[must_use]
    pub fn registers(&self) -> &Arc<dyn MetadataStore> {
        &self.registers
    }

    /// Whether one transaction can change records of both.
    pub(crate) fn has_same_registers(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.registers, &other.registers)
    }

    /// The source of replicas.
    #[must_use]
    pub fn replicas(&self) -> &Arc<dyn ReplicaSource> {
        &self.replicas
    }
}

#[cfg(feature = "embedded")]
impl From<EmbeddedHome> for Engine {
    fn from(home: EmbeddedHome) -> Self {
        Self::new(Arc::<SqliteMetadataStore>::clone(home.register()), Arc::new(home))
    }
}

#[cfg(feature = "embedded")]
impl ReplicaSource for EmbeddedHome {
    fn open(&self, locator: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        Ok(Arc::new(self.replica(&locator.replica_id)?))
    }
}

/// An engine was installed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an engine is installed already: install once, early in main")]
pub struct AlreadyInstalled;

/// A number that nobody has chosen before.
///
/// # Errors
/// The system has no randomness to give.
pub(crate) fn new_nonce() -> Result<Nonce, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|cause| StoreError::Io {
        operation: "reading random bytes",
        what: "the operating system".to_owned(),
        errno: cause.raw_os_error().unwrap_or(0),
    })?;
    Ok(Nonce(u128::from_le_bytes(bytes)))
}
