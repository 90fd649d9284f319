//! [`Driver`]: everything that has a handle, and which context is current on a thread.
//!
//! Handles are numbers that are never used twice, so a stale one is an error and never somebody else's object.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use crate::code::{Answer, INVALID_CONTEXT, INVALID_DEVICE, INVALID_HANDLE, NOT_INITIALIZED, OUT_OF_MEMORY};
use crate::config::Config;
use crate::context::{Context, ContextId};
use crate::event::Event;
use crate::module::{Function, LoadedImage, memory_code};
use crate::pinned::Pinned;
use crate::stream::{StickyFault, Stream};
use crate::sync::locked;

thread_local! {
    static CURRENT: RefCell<Vec<ContextId>> = const { RefCell::new(Vec::new()) };
}

/// Everything that has a handle.
#[derive(Default)]
pub(crate) struct Handles {
    last: usize,
    pub(crate) contexts: HashMap<usize, Arc<Context>>,
    pub(crate) modules: HashMap<usize, Arc<LoadedImage>>,
    pub(crate) functions: HashMap<usize, Arc<Function>>,
    pub(crate) streams: HashMap<usize, Arc<Stream>>,
    pub(crate) events: HashMap<usize, Arc<Event>>,
    /// By address, with the context that they were taken in.
    pub(crate) pinned: HashMap<usize, (ContextId, Arc<Pinned>)>,
}

impl Handles {
    /// A number that no handle has had.
    pub(crate) fn next(&mut self) -> usize {
        // A multiple of 16 and far from zero, as an address would be.
        self.last += 16;
        0x1000_0000 + self.last
    }
}

/// The driver of this process.
#[derive(Default)]
pub(crate) struct Driver {
    initialized: AtomicBool,
    handles: Mutex<Handles>,
    /// Faults of the whole process, when they are configured to be.
    process_fault: Arc<StickyFault>,
    /// Objects that a destroyed context took with it, and other things that a careful caller never does.
    mistakes: AtomicU64,
}

impl Driver {
    /// The one of this process.
    pub(crate) fn this() -> &'static Self {
        static DRIVER: OnceLock<Driver> = OnceLock::new();
        DRIVER.get_or_init(Self::default)
    }

    pub(crate) fn initialize(&self) {
        self.initialized.store(true, Ordering::SeqCst);
    }

    pub(crate) fn check_initialized(&self) -> Answer {
        if self.initialized.load(Ordering::SeqCst) { Ok(()) } else { Err(NOT_INITIALIZED) }
    }

    /// An error if there is no such device.
    pub(crate) fn check_device(&self, device: i32) -> Answer {
        self.check_initialized()?;
        if (0..Config::read().devices).contains(&device) { Ok(()) } else { Err(INVALID_DEVICE) }
    }

    pub(crate) fn handles(&self) -> MutexGuard<'_, Handles> {
        locked(&self.handles)
    }

    pub(crate) fn mistake(&self, count: usize) {
        self.mistakes.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    pub(crate) fn mistakes(&self) -> u64 {
        self.mistakes.load(Ordering::SeqCst)
    }

    /// The context that is current on this thread, whatever its state.
    pub(crate) fn current_or_faulted(&self) -> Answer<Arc<Context>> {
        self.check_initialized()?;
        let id = CURRENT.with_borrow(|stack| stack.last().copied()).ok_or(INVALID_CONTEXT)?;
        self.handles().contexts.get(&id.0).cloned().ok_or(INVALID_CONTEXT)
    }

    /// The context that is current on this thread, if it has no fault.
    pub(crate) fn current(&self) -> Answer<Arc<Context>> {
        let context = self.current_or_faulted()?;
        context.fault.check()?;
        Ok(context)
    }

    /// Makes a context current on this thread.
    pub(crate) fn push(&self, handle: usize) -> Answer {
        self.check_initialized()?;
        let id = self.handles().contexts.get(&handle).map(|context| context.id).ok_or(INVALID_CONTEXT)?;
        CURRENT.with_borrow_mut(|stack| stack.push(id));
        Ok(())
    }

    /// Makes the context before it current again.
    pub(crate) fn pop(&self) -> Answer<ContextId> {
        self.check_initialized()?;
        CURRENT.with_borrow_mut(Vec::pop).ok_or(INVALID_CONTEXT)
    }

    /// A new context, current on this thread.
    pub(crate) fn create_context(&self, device: i32) -> Answer<usize> {
        self.check_device(device)?;
        let config = Config::read();
        if config.compute_mode == 2 {
            return Err(INVALID_DEVICE);
        }
        self.process_fault.check()?;
        let fault =
            if config.faults_hit_the_process { Arc::clone(&self.process_fault) } else { Arc::default() };
        let mut handles = self.handles();
        let handle = handles.next();
        let context = Context::new(ContextId(handle), device, config.memory_bytes, fault);
        handles.contexts.insert(handle, Arc::new(context));
        drop(handles);
        CURRENT.with_borrow_mut(|stack| stack.push(ContextId(handle)));
        Ok(handle)
    }

    /// Ends a context and everything in it, when its work is done.
    pub(crate) fn destroy_context(&self, handle: usize) -> Answer {
        self.check_initialized()?;
        let context = self.handles().contexts.get(&handle).cloned().ok_or(INVALID_CONTEXT)?;
        for stream in self.streams_of(&context) {
            stream.wait();
        }
        let mut handles = self.handles();
        handles.contexts.remove(&handle);
        let id = context.id;
        let left = context.memory.allocations();
        let before =
            handles.modules.len() + handles.streams.len() + handles.events.len() + handles.pinned.len();
        handles.modules.retain(|_, module| module.context != id);
        handles.functions.retain(|_, function| function.context != id);
        handles.streams.retain(|_, stream| stream.context != id);
        handles.events.retain(|_, event| event.context != id);
        let gone: Vec<_> = handles.pinned.extract_if(|_, (context, _)| *context == id).collect();
        let after =
            handles.modules.len() + handles.streams.len() + handles.events.len() + handles.pinned.len();
        drop(handles);
        for (_, (_, pinned)) in gone {
            pinned.unregister();
        }
        if context.fault.check().is_ok() {
            self.mistake(before - after + left);
        }
        CURRENT.with_borrow_mut(|stack| {
            if stack.last() == Some(&id) {
                stack.pop();
            }
        });
        Ok(())
    }

    /// All streams of a context.
    pub(crate) fn streams_of(&self, context: &Context) -> Vec<Arc<Stream>> {
        let handles = self.handles();
        let own = handles.streams.values().filter(|stream| stream.context == context.id).cloned();
        own.chain([Arc::clone(&context.default_stream)]).collect()
    }

    /// A stream of the current context.
    pub(crate) fn stream(&self, context: &Context, handle: usize) -> Answer<Arc<Stream>> {
        if handle == 0 {
            return Ok(Arc::clone(&context.default_stream));
        }
        let stream = self.handles().streams.get(&handle).cloned().ok_or(INVALID_HANDLE)?;
        if stream.context == context.id { Ok(stream) } else { Err(INVALID_HANDLE) }
    }

    /// An event.
    pub(crate) fn event(&self, handle: usize) -> Answer<Arc<Event>> {
        self.handles().events.get(&handle).cloned().ok_or(INVALID_HANDLE)
    }

    /// The pinned memory that holds so many bytes at an address, and where in it they are.
    pub(crate) fn pinned(&self, address: usize, len: usize) -> Option<(Arc<Pinned>, usize)> {
        let handles = self.handles();
        let mut all = handles.pinned.values();
        all.find_map(|(_, pinned)| Some((Arc::clone(pinned), pinned.offset_of(address, len)?)))
    }

    /// How many bytes of a device all contexts use.
    pub(crate) fn used_bytes(&self, device: i32) -> u64 {
        let handles = self.handles();
        let on_device = handles.contexts.values().filter(|context| context.device == device);
        on_device.map(|context| context.memory.used_bytes()).sum()
    }

    /// Memory of a device, which all contexts share.
    pub(crate) fn alloc(&self, context: &Context, bytes: u64) -> Answer<u64> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _one = locked(&ONE_AT_A_TIME);
        let total = Config::read().memory_bytes;
        if self.used_bytes(context.device).checked_add(bytes).is_none_or(|sum| sum > total) {
            return Err(OUT_OF_MEMORY);
        }
        context.memory.alloc(bytes).map_err(|error| memory_code(&error))
    }
}
