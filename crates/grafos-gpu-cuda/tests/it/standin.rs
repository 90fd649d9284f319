//! [`Library`]: a folder with a `libcuda.so` in it, for a child to find; [`Control`]: in the child, the extra symbols of
//! the stand-in.
//!
//! Cargo builds the library target of a dependency in all of its crate types, so the cdylib of the stand-in lies beside
//! this test binary, in `deps`.

use std::env;
use std::ffi::{CStr, CString, c_char};
use std::fs;
use std::path::{Path, PathBuf};

use cudarc::driver::sys;
use tempfile::TempDir;

/// A folder for `LD_LIBRARY_PATH`.
pub(crate) struct Library {
    folder: TempDir,
}

impl Library {
    /// With nothing in it.
    pub(crate) fn none() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With the stand-in.
    pub(crate) fn standin() -> Self {
        Self::of(&fs::read(built()).unwrap())
    }

    /// With the stand-in, in which nobody finds these symbols any more.
    pub(crate) fn without(symbols: &[&str]) -> Self {
        let mut bytes = fs::read(built()).unwrap();
        for symbol in symbols {
            let wanted = [b"\0", symbol.as_bytes(), b"\0"].concat();
            let places: Vec<usize> = bytes
                .windows(wanted.len())
                .enumerate()
                .filter(|(_, found)| *found == wanted)
                .map(|(at, _)| at)
                .collect();
            assert!(!places.is_empty(), "{symbol} is not a symbol of the stand-in");
            // Another first letter: the name is found by its hash, and then compared.
            places.into_iter().for_each(|at| bytes[at + 1] = b'x');
        }
        Self::of(&bytes)
    }

    fn of(bytes: &[u8]) -> Self {
        let library = Self::none();
        for name in ["libcuda.so", "libcuda.so.1"] {
            fs::write(library.path().join(name), bytes).unwrap();
        }
        library
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Where cargo has put the stand-in.
fn built() -> PathBuf {
    let test = env::current_exe().unwrap();
    let name = "libgrafos_cuda_standin.so";
    let beside = test.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    let found = beside.into_iter().find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not beside {}", test.display()))
}

/// How many there are of each kind of thing in the driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) contexts: u64,
    pub(crate) allocations: u64,
    pub(crate) bytes: u64,
    pub(crate) modules: u64,
    pub(crate) streams: u64,
    pub(crate) events: u64,
    pub(crate) pinned: u64,
    /// What a careful caller never does, since the start of the process.
    pub(crate) mistakes: u64,
}

/// The extra symbols of the stand-in. Only in a child that has loaded it.
pub(crate) struct Control {
    fail: unsafe extern "C" fn(*const c_char, u64, u32),
    calls: unsafe extern "C" fn(*const c_char) -> u64,
    function: unsafe extern "C" fn(usize) -> *const c_char,
    live: unsafe extern "C" fn(*mut [u64; 8]),
    poke: unsafe extern "C" fn(u64, u32),
}

impl Control {
    pub(crate) fn load() -> Self {
        // SAFETY: this child was started with the stand-in on its path.
        let library = unsafe { sys::culib() };
        // SAFETY: these are the signatures of the symbols in `control` of the stand-in, which is never unloaded.
        unsafe {
            Self {
                fail: *library.get(b"grafos_standin_fail\0").unwrap(),
                calls: *library.get(b"grafos_standin_calls\0").unwrap(),
                function: *library.get(b"grafos_standin_function\0").unwrap(),
                live: *library.get(b"grafos_standin_live\0").unwrap(),
                poke: *library.get(b"grafos_standin_poke\0").unwrap(),
            }
        }
    }

    /// Lets the nth call from now on fail.
    pub(crate) fn fail(&self, function: &str, nth: u64, code: u32) {
        let function = CString::new(function).unwrap();
        // SAFETY: the name ends with a NUL.
        unsafe { (self.fail)(function.as_ptr(), nth, code) }
    }

    /// Forgets faults that have not happened.
    pub(crate) fn forget_faults(&self) {
        // SAFETY: null is allowed.
        unsafe { (self.fail)(std::ptr::null(), 0, 0) }
    }

    pub(crate) fn calls(&self, function: &str) -> u64 {
        let function = CString::new(function).unwrap();
        // SAFETY: the name ends with a NUL.
        unsafe { (self.calls)(function.as_ptr()) }
    }

    /// The names of all entry points.
    pub(crate) fn functions(&self) -> Vec<String> {
        (0..)
            // SAFETY: any index is allowed.
            .map(|index| unsafe { (self.function)(index) })
            .take_while(|name| !name.is_null())
            // SAFETY: not null, so a name that ends with a NUL and is never freed.
            .map(|name| unsafe { CStr::from_ptr(name) }.to_str().unwrap().to_owned())
            .collect()
    }

    /// Writes a word to device memory, whoever owns it.
    pub(crate) fn poke(&self, address: u64, word: u32) {
        // SAFETY: any address is allowed.
        unsafe { (self.poke)(address, word) }
    }

    pub(crate) fn live(&self) -> Live {
        let mut counts = [0; 8];
        // SAFETY: a place for eight numbers.
        unsafe { (self.live)(&raw mut counts) }
        let [contexts, allocations, bytes, modules, streams, events, pinned, mistakes] = counts;
        Live { contexts, allocations, bytes, modules, streams, events, pinned, mistakes }
    }
}
