//! Instructions that this machine does not run, by name. They are told before their operands are read, since those
//! often have a syntax of their own.

/// Why an instruction is refused, if it is refused by its name alone.
pub(super) fn reason(opcode: &str, modifiers: &[&str]) -> Option<&'static str> {
    let has = |modifier: &str| modifiers.contains(&modifier);
    let first = modifiers.first().copied().unwrap_or_default();
    Some(match opcode {
        "mma" | "wmma" | "wgmma" | "ldmatrix" | "stmatrix" | "movmatrix" | "tcgen05" => {
            "matrix units are not modelled"
        }
        "cp" => "asynchronous copies are not modelled",
        "mbarrier" => "asynchronous barriers are not modelled",
        "tensormap" | "multimem" => "tensor and multicast memory is not modelled",
        "fence" | "membar" if has("proxy") && modifiers.iter().any(|m| m.starts_with("tensormap")) => {
            "tensor and multicast memory is not modelled"
        }
        "fence" if first == "mbarrier_init" => "asynchronous barriers are not modelled",
        "st" | "red" if has("async") => "asynchronous stores are not modelled",
        "st" if has("bulk") => "asynchronous stores are not modelled",
        "tex" | "tld4" | "txq" | "istypep" => "textures are not modelled",
        "suld" | "sust" | "sured" | "suq" => "surfaces are not modelled",
        "mapa" | "getctarank" | "clusterlaunchcontrol" => "clusters of blocks are not modelled",
        "barrier" if first == "cluster" => "clusters of blocks are not modelled",
        _ if has("shared::cluster") && opcode != "isspacep" => "clusters of blocks are not modelled",
        "alloca" | "stacksave" | "stackrestore" => {
            "local memory of a size known only at run time is not modelled"
        }
        "setmaxnreg" => "registers that move between warps are not modelled",
        _ if has("b128") => "registers of 128 bits are not modelled",
        _ => return None,
    })
}
