//! Special registers by name.

use super::function::Body;
use super::registers::File;
use crate::error::LoadError;
use crate::program::{Counter, Op, Preset, Slot, Special, Unpack};
use crate::syntax::ast::Operand;

/// What a special register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fixed(Special),
    /// A counter, of which a register of 32 bits reads the lower half.
    Counter(Counter),
    /// The upper half of a counter.
    CounterHigh(Counter),
    Constant(u32),
    /// A predicate that never holds.
    Never,
}

/// Whether this is a special register that exists, but not here.
pub(super) fn is_unsupported(name: &str) -> bool {
    name.starts_with("%reserved_smem_offset") || matches!(name, "%aggr_smem_size" | "%current_graph_exec")
}

impl Body<'_, '_, '_> {
    /// The slot of the special register that an operand names, as a register of `bits`; None if it names none.
    pub(super) fn special_operand(
        &mut self,
        operand: &Operand<'_>,
        bits: u32,
    ) -> Result<Option<Slot>, LoadError> {
        let kind = match operand {
            Operand::Name(name) if name.starts_with('%') => by_name(name),
            Operand::Component(name, component) if name.starts_with('%') => by_component(name, component),
            _ => None,
        };
        let Some(kind) = kind else { return Ok(None) };
        Ok(Some(match (kind, bits) {
            (Kind::Fixed(special), 64) => self.regs.preset(Preset::Special64(special), self.line)?,
            (Kind::Fixed(special), 32) => self.regs.preset(Preset::Special32(special), self.line)?,
            (Kind::Fixed(special), _) => {
                let wide = self.regs.preset(Preset::Special32(special), self.line)?;
                self.low_bits(wide, bits)?
            }
            (Kind::Constant(value), 64) => self.bits64(u64::from(value))?,
            (Kind::Constant(value), _) => self.bits32(value)?,
            (Kind::Never, _) => return Ok(None),
            (Kind::Counter(counter), 64) => {
                let dest = self.fresh(File::W64)?;
                self.emit(Op::ReadCounter { counter, dest, is_64: true })?;
                dest
            }
            (Kind::Counter(counter), _) => {
                let dest = self.fresh(File::W32)?;
                self.emit(Op::ReadCounter { counter, dest, is_64: false })?;
                dest
            }
            (Kind::CounterHigh(counter), _) => {
                let whole = self.fresh(File::W64)?;
                self.emit(Op::ReadCounter { counter, dest: whole, is_64: true })?;
                let dest = self.fresh(File::W32)?;
                self.emit(Op::Unpack(Box::new(Unpack {
                    element_bits: 32,
                    source_is_64: true,
                    source: whole,
                    dests: vec![None, Some(dest)],
                })))?;
                dest
            }
        }))
    }

    /// Whether an operand is the special register that says that the grid was launched as clusters: it never is.
    pub(super) fn is_never(operand: &Operand<'_>) -> bool {
        matches!(operand, Operand::Name(name) if by_name(name) == Some(Kind::Never))
    }

    /// The lowest bits of a register of 32.
    fn low_bits(&mut self, source: Slot, bits: u32) -> Result<Slot, LoadError> {
        let dest = self.fresh(File::W32)?;
        let element_bits = if bits == 8 { 8 } else { 16 };
        self.emit(Op::Unpack(Box::new(Unpack {
            element_bits,
            source_is_64: false,
            source,
            dests: vec![Some(dest), None],
        })))?;
        Ok(dest)
    }
}

/// Whether this is a special register, or a whole vector of them, known or not.
fn by_name(name: &str) -> Option<Kind> {
    let special = match name {
        "%laneid" => Special::LaneId,
        "%warpid" => Special::WarpId,
        "%nwarpid" => Special::NumWarps,
        "%smid" => Special::SmId,
        "%nsmid" => Special::NumSms,
        "%gridid" => Special::GridId,
        "%lanemask_eq" => Special::LaneMaskEq,
        "%lanemask_le" => Special::LaneMaskLe,
        "%lanemask_lt" => Special::LaneMaskLt,
        "%lanemask_ge" => Special::LaneMaskGe,
        "%lanemask_gt" => Special::LaneMaskGt,
        "%dynamic_smem_size" => Special::DynamicSharedSize,
        "%total_smem_size" => Special::TotalSharedSize,
        "%envreg" => Special::Zero,
        "%clock" | "%clock64" => return Some(Kind::Counter(Counter::Clock)),
        "%clock_hi" => return Some(Kind::CounterHigh(Counter::Clock)),
        "%globaltimer" | "%globaltimer_lo" => return Some(Kind::Counter(Counter::GlobalTimer)),
        "%globaltimer_hi" => return Some(Kind::CounterHigh(Counter::GlobalTimer)),
        // A block is a cluster of its own.
        "%cluster_ctarank" => return Some(Kind::Constant(0)),
        "%cluster_nctarank" => return Some(Kind::Constant(1)),
        "%is_explicit_cluster" => return Some(Kind::Never),
        _ => {
            let rest = name.strip_prefix("%envreg").or_else(|| name.strip_prefix("%pm"))?;
            let number = rest.strip_suffix("_64").unwrap_or(rest);
            if number.parse::<u8>().is_ok_and(|number| number < 32) { Special::Zero } else { return None }
        }
    };
    Some(Kind::Fixed(special))
}

fn by_component(name: &str, component: &str) -> Option<Kind> {
    let axis = match component {
        "x" => 0,
        "y" => 1,
        "z" => 2,
        "w" if matches!(name, "%tid" | "%ntid" | "%ctaid" | "%nctaid" | "%clusterid" | "%nclusterid") => {
            return Some(Kind::Fixed(Special::Zero));
        }
        _ => return None,
    };
    Some(Kind::Fixed(match name {
        "%tid" => Special::Tid(axis),
        "%ntid" => Special::Ntid(axis),
        // A block is a cluster of its own.
        "%ctaid" | "%clusterid" => Special::Ctaid(axis),
        "%nctaid" | "%nclusterid" => Special::Nctaid(axis),
        "%cluster_ctaid" => return Some(Kind::Constant(0)),
        "%cluster_nctaid" => return Some(Kind::Constant(1)),
        _ => return None,
    }))
}
