//! [`Recipe`]: which folder of PTX is made with which options of clang.

/// The sources, with their PTX beside them.
pub(super) const KERNELS: &str = "kernels";

/// PTX of the same sources from several compilers.
pub(super) const CORPUS: &str = "crates/grafos-ptx/tests/corpus";

/// How one folder is made.
#[derive(Debug)]
pub(super) struct Recipe {
    /// From the root of the repository.
    pub(super) folder: &'static str,
    /// Beside [`COMMON`].
    pub(super) options: &'static [&'static str],
    /// Every source has its PTX here; else only those that are there.
    pub(super) is_whole: bool,
}

/// What all have in common: no CUDA toolkit needed, and no contraction, so that results are bit-exact.
pub(super) const COMMON: &[&str] =
    &["-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "-ffp-contract=off", "-S"];

/// All folders. The version of PTX is named where it must not depend on the clang.
pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        folder: KERNELS,
        options: &["--cuda-gpu-arch=sm_70", "-O2", "-Xclang", "-target-feature", "-Xclang", "+ptx63"],
        is_whole: true,
    },
    Recipe {
        folder: "crates/grafos-ptx/tests/corpus/clang-19/sm_90",
        options: &["--cuda-gpu-arch=sm_90", "-O2", "-Xclang", "-target-feature", "-Xclang", "+ptx78"],
        is_whole: true,
    },
    Recipe {
        folder: "crates/grafos-ptx/tests/corpus/clang-19/sm_75-O0",
        options: &["--cuda-gpu-arch=sm_75", "-O0"],
        is_whole: false,
    },
];
