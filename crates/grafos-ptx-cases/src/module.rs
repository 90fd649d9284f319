//! [`Module`]: PTX of our kernels, from several compilers.

use std::fmt;

/// The PTX of one file of `kernels/`, as one compiler made it.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// The file without its extension.
    pub name: &'static str,
    /// Who made it.
    pub compiler: Compiler,
    /// For which device, and with what else.
    pub variant: &'static str,
    /// The text, without a NUL at the end.
    pub ptx: &'static [u8],
}

/// A compiler that emits PTX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// clang 19.
    Clang,
    /// nvcc 13.
    Nvcc,
    /// NVRTC 13.
    Nvrtc,
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clang => "clang",
            Self::Nvcc => "nvcc",
            Self::Nvrtc => "nvrtc",
        })
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.compiler, self.variant)
    }
}

/// Every module: first those of `kernels/`, then the corpus.
pub fn modules() -> impl Iterator<Item = Module> {
    KERNELS.iter().chain(CORPUS.iter().copied().flatten()).copied()
}

/// Everything that one compiler made of some files with the same options.
macro_rules! made {
    ($made:ident: $compiler:ident, $variant:literal, $folder:literal, [$($name:literal),* $(,)?]) => {
        const $made: &[Module] = &[$(Module {
            name: $name,
            compiler: Compiler::$compiler,
            variant: $variant,
            ptx: include_bytes!(concat!($folder, $name, ".ptx")),
        }),*];
    };
}

/// The same of all files.
macro_rules! made_of_all {
    ($made:ident: $compiler:ident, $variant:literal, $folder:literal) => {
        made!(
            $made: $compiler,
            $variant,
            $folder,
            [
                "attention", "bfloat", "digits", "fdtd", "functions", "half", "histogram", "layer_norm", "matmul",
                "optimizer", "philox", "print", "radix", "reduce", "scan", "softmax", "stencil", "table",
                "train_step", "vector", "warp",
            ]
        );
    };
}

made_of_all!(KERNELS: Clang, "sm_70", "../../../kernels/");
made_of_all!(CLANG_SM_90: Clang, "sm_90", "../../grafos-ptx/tests/corpus/clang-19/sm_90/");
made_of_all!(NVCC_SM_75: Nvcc, "sm_75", "../../grafos-ptx/tests/corpus/nvcc-13/sm_75/");
made_of_all!(NVRTC_SM_90: Nvrtc, "sm_90", "../../grafos-ptx/tests/corpus/nvrtc-13/sm_90/");
made!(
    CLANG_SM_75_O0: Clang,
    "sm_75 -O0",
    "../../grafos-ptx/tests/corpus/clang-19/sm_75-O0/",
    ["attention", "functions", "scan", "table", "vector", "warp"]
);
made!(
    NVCC_SM_90_G: Nvcc,
    "sm_90 -G",
    "../../grafos-ptx/tests/corpus/nvcc-13/sm_90-G/",
    ["functions", "print", "reduce", "table"]
);

const CORPUS: &[&[Module]] = &[CLANG_SM_90, NVCC_SM_75, NVRTC_SM_90, CLANG_SM_75_O0, NVCC_SM_90_G];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The names, without it, of the files of `folder` that have the extension.
    fn files(folder: &Path, extension: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    fn names(modules: &[Module]) -> BTreeSet<String> {
        modules.iter().map(|module| module.name.to_owned()).collect()
    }

    #[test]
    fn every_kernel_file_has_its_ptx_and_its_cases_and_the_other_way_round() {
        let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels");
        assert_eq!(files(&kernels, "cu"), names(KERNELS));
        assert_eq!(files(&kernels, "ptx"), names(KERNELS));
    }

    #[test]
    fn every_file_of_the_corpus_is_a_module() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafos-ptx/tests/corpus");
        for (folder, made) in [
            ("clang-19/sm_90", CLANG_SM_90),
            ("clang-19/sm_75-O0", CLANG_SM_75_O0),
            ("nvcc-13/sm_75", NVCC_SM_75),
            ("nvcc-13/sm_90-G", NVCC_SM_90_G),
            ("nvrtc-13/sm_90", NVRTC_SM_90),
        ] {
            assert_eq!(files(&corpus.join(folder), "ptx"), names(made), "{folder}");
        }
        let mut folders = Vec::new();
        for compiler in fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()) {
            if compiler.is_dir() {
                folders.extend(fs::read_dir(compiler).unwrap());
            }
        }
        assert_eq!(folders.len(), CORPUS.len());
    }

    #[test]
    fn what_lies_beside_the_sources_is_for_old_drivers_and_devices() {
        for module in KERNELS {
            let text = std::str::from_utf8(module.ptx).unwrap();
            assert!(text.contains("\n.version 6.3\n.target sm_70\n"), "{module}");
        }
    }
}
