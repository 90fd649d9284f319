//! A register that has gone back is told: a collector that sees a blob from the future gives no order to remove anything; and
//! it never cries wolf while the engine was not restored.

use super::{Broken, Invariant};
use crate::fact::Fact;

#[derive(Debug, Default)]
pub(super) struct RegressionIsTold {
    restores: u32,
}

impl Invariant for RegressionIsTold {
    fn name(&self) -> &'static str {
        "a register that has gone back is told"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Broken {
        match fact {
            Fact::Restored { .. } => self.restores += 1,
            Fact::Collected { space, behind: true, orders } if *orders > 0 => {
                return Err(format!(
                    "{orders} orders to remove from {space:?}, whose register has gone back"
                ));
            }
            Fact::RegressionReported { space } if self.restores == 0 => {
                return Err(format!("{space:?} is said to have gone back and has not"));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Space;

    #[test]
    fn orders_under_a_register_that_went_back_are_caught() {
        let mut invariant = RegressionIsTold::default();
        let collected = |behind, orders| Fact::Collected { space: Space::Plain, behind, orders };
        assert_eq!(invariant.see(&collected(false, 3)), Ok(()));
        assert_eq!(invariant.see(&collected(true, 0)), Ok(()));
        assert!(invariant.see(&collected(true, 1)).is_err());
    }

    #[test]
    fn a_false_alarm_is_caught() {
        let mut invariant = RegressionIsTold::default();
        assert!(invariant.see(&Fact::RegressionReported { space: Space::Job }).is_err());
        invariant.see(&Fact::Restored { registers: [None, None] }).unwrap();
        assert_eq!(invariant.see(&Fact::RegressionReported { space: Space::Job }), Ok(()));
    }
}
