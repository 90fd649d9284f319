//! A module of about a thousand lines, made of our kernels.

/// Files whose names don't meet.
const PIECES: [&str; 5] = [
    include_str!("../../../kernels/vector.ptx"),
    include_str!("../../../kernels/matmul.ptx"),
    include_str!("../../../kernels/stencil.ptx"),
    include_str!("../../../kernels/optimizer.ptx"),
    include_str!("../../../kernels/train_step.ptx"),
];

/// The first file whole, the others without their head.
pub(crate) fn long_module() -> String {
    let is_head =
        |line: &&str| [".version", ".target", ".address_size"].iter().any(|word| line.starts_with(word));
    let mut lines: Vec<&str> = PIECES[0].lines().collect();
    for piece in &PIECES[1..] {
        lines.extend(piece.lines().filter(|line| !is_head(line)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_has_about_a_thousand_lines_and_loads() {
        let text = long_module();
        assert!((900..1100).contains(&text.lines().count()), "{}", text.lines().count());
        let module = grafos_ptx::Module::load(text.as_bytes()).unwrap();
        assert!(module.kernels().count() >= 10);
    }
}
