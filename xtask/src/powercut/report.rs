//! [`Tally`]: what became of the crash states of one workload, and the table of all of them.

use super::judge::{Fault, Verdict};

/// How many states ended how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Of which workload.
    pub(crate) workload: &'static str,
    /// Whether it is meant to lose.
    pub(crate) must_lose: bool,
    kept: usize,
    in_flight: usize,
    lost: usize,
    wrong: usize,
}

impl Tally {
    /// Nothing counted yet.
    pub(crate) fn new(workload: &'static str, must_lose: bool) -> Self {
        Self { workload, must_lose, ..Self::default() }
    }

    /// Counts one state. True if it is not as it should be.
    pub(crate) fn count(&mut self, verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Kept => self.kept += 1,
            Verdict::InFlight => self.in_flight += 1,
            Verdict::Broken(faults) if faults.iter().all(Fault::is_loss) => {
                self.lost += 1;
                return !self.must_lose;
            }
            Verdict::Broken(_) => {
                self.wrong += 1;
                return true;
            }
        }
        false
    }

    /// How many states are not as they should be.
    pub(crate) fn broken(&self) -> usize {
        self.wrong + if self.must_lose { 0 } else { self.lost }
    }

    /// Whether a workload that must lose was seen to.
    pub(crate) fn is_blind(&self) -> bool {
        self.must_lose && self.lost == 0
    }

    fn row(&self) -> String {
        let Self { workload, must_lose, kept, in_flight, lost, wrong } = self;
        let states = kept + in_flight + lost + wrong;
        let verdict = match (self.broken() > 0 || self.is_blind(), must_lose) {
            (true, false) => "NOT KEPT",
            (true, true) => "NOT AS IT MUST BE",
            (false, true) => "seen to lose, as it must be",
            (false, false) => "kept",
        };
        format!("{workload:<11} {states:>7} {kept:>9} {in_flight:>10} {lost:>6} {wrong:>6}  {verdict}")
    }
}

/// The table of all workloads.
pub(crate) fn table(tallies: &[Tally]) -> String {
    let head = "workload     states  as acked  in flight   lost  wrong  promise";
    std::iter::once(head.to_owned()).chain(tallies.iter().map(Tally::row)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> Verdict {
        Verdict::Broken(vec![Fault::Lost { volume: "v".to_owned(), promised: 2, found: 1 }])
    }

    fn wrong() -> Verdict {
        let unmountable = Fault::NoFileSystem { message: String::new() };
        Verdict::Broken(vec![unmountable, Fault::Lost { volume: "v".to_owned(), promised: 2, found: 1 }])
    }

    #[test]
    fn a_loss_breaks_a_promise_except_where_it_is_meant() {
        let mut tally = Tally::new("recipe", false);
        let broken = [Verdict::Kept, Verdict::InFlight, lost(), wrong()].map(|verdict| tally.count(&verdict));
        assert_eq!(broken, [false, false, true, true]);
        assert_eq!((tally.broken(), tally.is_blind()), (2, false));

        let mut control = Tally::new("control", true);
        assert!(!control.count(&Verdict::Kept) && control.is_blind());
        assert!(!control.count(&lost()) && !control.is_blind());
        assert_eq!(control.broken(), 0);
        assert!(control.count(&wrong()));
        assert_eq!(control.broken(), 1);
    }

    #[test]
    fn the_table_says_whether_promises_were_kept() {
        let mut tallies =
            [Tally::new("leases", false), Tally::new("durable", false), Tally::new("control", true)];
        tallies[0].count(&Verdict::Kept);
        tallies[1].count(&lost());
        let table = table(&tallies);
        let rows: Vec<_> = table.lines().collect();
        assert!(
            rows[1].ends_with(" kept")
                && rows[2].ends_with("NOT KEPT")
                && rows[3].ends_with("NOT AS IT MUST BE")
        );
    }
}
