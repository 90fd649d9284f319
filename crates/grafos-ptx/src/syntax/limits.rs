//! How much of everything a module may have, in one place.
//!
//! They bound what a hostile module costs. None is near what compilers emit; the sizes of memories are those of the
//! largest devices.

/// The source, in bytes: half a million lines. The tree takes up to some 60 times as much while the module is loaded.
pub(crate) const SOURCE_BYTES: u64 = 16 << 20;
/// Blocks in blocks, lists in lists and parentheses in parentheses, each.
pub(crate) const DEPTH: u32 = 64;
/// Registers that one directive declares, such as `%r<100>`. Only those that are used cost anything.
pub(crate) const DECLARED_REGISTERS: u64 = 1 << 24;
/// Registers of a function that are used, with constants and special registers, for each register file.
pub(crate) const USED_REGISTERS: u64 = 65_535;
/// Instructions of one function, as decoded.
pub(crate) const INSTRUCTIONS: u64 = 1 << 26;
/// Alignment of a variable, in bytes.
pub(crate) const ALIGNMENT: u64 = 1 << 16;
/// Variables in global and constant memory, in bytes, all together. How much there really is, the device's memory
/// says when the module is loaded into it.
pub(crate) const GLOBAL_BYTES: u64 = 1 << 40;
/// Static shared memory of a kernel, in bytes.
pub(crate) const SHARED_BYTES: u64 = 227 << 10;
/// Local memory of a frame, in bytes.
pub(crate) const LOCAL_BYTES: u64 = 512 << 10;
/// Parameters of a kernel, in bytes.
pub(crate) const PARAM_BYTES: u64 = 32_764;
/// Bytes that initialisers may set per byte of the source, on top of 64 KiB: a number of two characters sets at most
/// eight. Only lists in lists with gaps between them could set more.
pub(crate) const INITIAL_BYTES_PER_SOURCE_BYTE: u64 = 8;
/// Steps of the walk that finds which shared memory each kernel reaches through its calls.
pub(crate) const REACH_STEPS: u64 = 1 << 24;
/// Results that a function keeps in registers: each is stored wherever it returns.
pub(crate) const REGISTER_RESULTS: u64 = 16;
/// Targets of all indirect branches of a function.
pub(crate) const BRANCH_TARGETS: u64 = 1 << 20;
/// Characters of a name or an operand that an error repeats.
pub(crate) const SHOWN_CHARS: usize = 60;
