//! [`DurableOptions`]: how to open a volume other than by default.

use std::marker::PhantomData;

use grafos_std::block::BlockLease;
use serde::de::DeserializeOwned;

use super::{Durable, DurableError, Store, StoreOptions, observe};

/// How to open a volume: the number of slots, a schema tag. What is out of range is reported by the first call that
/// reads or writes.
///
/// ```
/// use grafos_collections::durable::Durable;
/// # use grafos_std::block::BlockBuilder;
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # host.scope(|| -> Result<(), Box<dyn std::error::Error>> {
/// # let lease = BlockBuilder::new().volume("v").min_blocks(64).acquire()?;
///
/// let mut state = Durable::options().slots(4).schema("sim.v1").open_or_init(lease, || 0_u64)?;
/// for _ in 0..3 {
///     *state += 1;
///     state.checkpoint()?;
/// }
/// state.restore_at(2)?;
/// assert_eq!(*state, 2);
/// # Ok(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options open nothing by themselves"]
pub struct DurableOptions<T> {
    store: StoreOptions,
    value: PhantomData<fn() -> T>,
}

impl<T> Default for DurableOptions<T> {
    fn default() -> Self {
        Self { store: StoreOptions::default(), value: PhantomData }
    }
}

impl<T> DurableOptions<T> {
    /// How many checkpoints the volume keeps room for, from 2 to 64. Without it, as many as the volume has; 2 on a
    /// new one.
    pub fn slots(mut self, slots: u32) -> Self {
        self.store.slot_count = Some(slots);
        self
    }

    /// A tag of at most 64 bytes that is stored with every checkpoint and must be the same to restore it. Change
    /// it with the type. Without it the tag is empty.
    pub fn schema(mut self, tag: impl Into<String>) -> Self {
        self.store.schema = tag.into();
        self
    }

    /// [`Durable::new`] with these options.
    pub fn start(self, value: T, lease: BlockLease) -> Durable<T> {
        let store = Store::new(lease.block(), self.store);
        Durable::assemble(value, lease, store)
    }
}

impl<T: DeserializeOwned> DurableOptions<T> {
    /// [`Durable::restore`] with these options.
    ///
    /// # Errors
    /// Those of [`Durable::restore`].
    pub fn restore(self, lease: BlockLease) -> Result<Durable<T>, DurableError> {
        let mut store = Store::new(lease.block(), self.store);
        let loaded = observe::restore(&lease.block(), || store.load_newest())?;
        Ok(Durable::from_loaded(loaded, lease, store))
    }

    /// [`Durable::open_or_init`] with these options.
    ///
    /// # Errors
    /// Those of [`Durable::open_or_init`].
    pub fn open_or_init(
        self,
        lease: BlockLease,
        init: impl FnOnce() -> T,
    ) -> Result<Durable<T>, DurableError> {
        let mut store = Store::new(lease.block(), self.store);
        match observe::restore(&lease.block(), || store.load_newest()) {
            Ok(loaded) => Ok(Durable::from_loaded(loaded, lease, store)),
            Err(DurableError::NoCheckpoint) => Ok(Durable::assemble(init(), lease, store)),
            Err(error) => Err(error),
        }
    }
}
