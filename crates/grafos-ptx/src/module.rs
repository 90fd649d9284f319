//! [`Module`]: PTX that was read, checked and decoded. It knows no device: its variables get their addresses when it
//! is loaded into a [`DeviceMemory`](crate::DeviceMemory).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::error::{LoadError, LoadErrorKind};
use crate::program::{Function, Program};
use crate::syntax::limits;
use crate::{lower, syntax};

/// A module of PTX that can be run. Cheap to clone; all clones are one module.
///
/// ```
/// let module = grafos_ptx::Module::load(b"
///     .version 7.0
///     .target sm_70
///     .address_size 64
///     .visible .entry nothing(.param .u64 data, .param .u32 count) { ret; }
/// ")?;
/// let kernel = module.kernel("nothing").expect("it is the only one");
/// assert_eq!(kernel.params().iter().map(|p| (p.offset, p.size)).collect::<Vec<_>>(), [(0, 8), (8, 4)]);
/// # Ok::<(), grafos_ptx::LoadError>(())
/// ```
#[derive(Clone)]
pub struct Module {
    inner: Arc<Inner>,
}

struct Inner {
    program: Program,
    /// Parameters of each function of the program, by its index.
    params: Vec<Vec<ParamLayout>>,
    kernels: HashMap<String, usize>,
}

impl Module {
    /// Reads, checks and decodes the text of a module. A NUL at its end, as drivers want it, is fine.
    ///
    /// Everything in it is checked, also what no kernel reaches. What an accepted module may have, and what it costs,
    /// is bounded: the memory taken is a small multiple of the length of `source`.
    ///
    /// # Errors
    /// [`LoadError`]: the line, and what is wrong there.
    pub fn load(source: &[u8]) -> Result<Self, LoadError> {
        let text = text_of(source)?;
        let tree = syntax::parse(text)?;
        let program = lower::lower(&tree, text.len())?;
        let params = program
            .functions
            .iter()
            .map(|function| function.params.iter().map(ParamLayout::of).collect())
            .collect();
        let kernels = program.functions.iter().enumerate();
        let kernels = kernels.filter(|(_, function)| function.is_kernel);
        let kernels = kernels.map(|(index, function)| (function.name.clone(), index)).collect();
        Ok(Self { inner: Arc::new(Inner { program, params, kernels }) })
    }

    /// Its kernels, in the order of the source.
    pub fn kernels(&self) -> impl Iterator<Item = KernelInfo<'_>> {
        (0..self.inner.program.functions.len()).filter_map(|index| self.info(index))
    }

    /// A kernel by its name, as the source has it.
    #[must_use]
    pub fn kernel(&self, name: &str) -> Option<KernelInfo<'_>> {
        self.info(self.kernel_index(name)?)
    }

    fn info(&self, index: usize) -> Option<KernelInfo<'_>> {
        let function = self.inner.program.functions.get(index).filter(|function| function.is_kernel)?;
        Some(KernelInfo { function, params: self.inner.params.get(index)? })
    }

    /// The index of a kernel in the program.
    pub(crate) fn kernel_index(&self, name: &str) -> Option<usize> {
        self.inner.kernels.get(name).copied()
    }

    pub(crate) fn program(&self) -> &Program {
        &self.inner.program
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("kernels", &self.kernels().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

/// What there is to know of a kernel before it is launched.
#[derive(Clone, Copy)]
pub struct KernelInfo<'a> {
    function: &'a Function,
    params: &'a [ParamLayout],
}

impl<'a> KernelInfo<'a> {
    /// Its name, as the source has it.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.function.name
    }

    /// Its parameters, in order.
    #[must_use]
    pub fn params(&self) -> &'a [ParamLayout] {
        self.params
    }

    /// Shared memory of a block without what a launch adds, in bytes.
    #[must_use]
    pub fn shared_bytes(&self) -> u32 {
        self.function.shared_bytes
    }

    /// Local memory of a thread without that of the functions it calls, in bytes.
    #[must_use]
    pub fn local_bytes(&self) -> u32 {
        self.function.local_bytes
    }

    /// The most threads that a block may have, as the product of the three: `.maxntid`.
    #[must_use]
    pub fn max_threads(&self) -> Option<[u32; 3]> {
        self.function.max_threads
    }

    /// The threads that a block must have along x, y and z: `.reqntid`.
    #[must_use]
    pub fn required_threads(&self) -> Option<[u32; 3]> {
        self.function.required_threads
    }
}

impl fmt::Debug for KernelInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelInfo")
            .field("name", &self.name())
            .field("params", &self.params)
            .field("shared_bytes", &self.shared_bytes())
            .field("local_bytes", &self.local_bytes())
            .field("max_threads", &self.max_threads())
            .field("required_threads", &self.required_threads())
            .finish()
    }
}

/// Where a parameter lies among the bytes that a launch gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamLayout {
    /// Bytes before it.
    pub offset: u32,
    /// Its own bytes.
    pub size: u32,
    /// `offset` is a multiple of this.
    pub align: u32,
}

impl ParamLayout {
    fn of(param: &crate::program::Param) -> Self {
        Self { offset: param.offset, size: param.size, align: param.align }
    }
}

/// The text of a module, or what is there instead.
fn text_of(source: &[u8]) -> Result<&str, LoadError> {
    let whole = |kind| Err(LoadError { line: 0, kind });
    let bytes = source.len() as u64;
    if bytes > limits::SOURCE_BYTES {
        return whole(LoadErrorKind::Limit {
            what: "bytes of source",
            limit: limits::SOURCE_BYTES,
            found: bytes,
        });
    }
    let binary = match source {
        [0x7f, b'E', b'L', b'F', ..] => Some("an ELF image (cubin)"),
        [0x50, 0xed, 0x55, 0xba, ..] => Some("a fat binary"),
        [0xb1, 0x43, 0x62, 0x46, ..] => Some("a wrapped fat binary"),
        [b'B', b'C', 0xc0, 0xde, ..] => Some("LLVM bitcode"),
        [0xed, 0x43, 0x4e, 0x7f, ..] => Some("LTO bitcode"),
        _ => None,
    };
    if let Some(found) = binary {
        return whole(LoadErrorKind::Unsupported {
            what: "image other than PTX text",
            found: found.to_owned(),
        });
    }
    let source = source.strip_suffix(&[0]).unwrap_or(source);
    std::str::from_utf8(source).map_err(|error| {
        let before = source.get(..error.valid_up_to()).unwrap_or_default();
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        let byte = source.get(error.valid_up_to()).copied().unwrap_or_default();
        LoadError {
            line: u32::try_from(lines).unwrap_or(u32::MAX).saturating_add(1),
            kind: LoadErrorKind::Syntax { expected: "UTF-8 text", found: format!("byte {byte:#04x}") },
        }
    })
}
