//! [`Report`]: sections in Markdown, each with a verdict. Whatever is said is printed as it comes, too.

use std::fmt::Write as _;

use crate::civil;

/// How something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    /// Not run.
    Skipped,
}

impl Verdict {
    /// Passed if it holds.
    pub(crate) fn of(holds: bool) -> Self {
        if holds { Self::Passed } else { Self::Failed }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "**FAILED**",
            Self::Skipped => "not run",
        }
    }
}

/// A part of the report.
#[derive(Debug)]
pub(crate) struct Section {
    title: &'static str,
    verdict: Option<Verdict>,
    body: String,
}

impl Section {
    /// A part that states something.
    pub(crate) fn stating(title: &'static str, body: impl Into<String>) -> Self {
        Self { title, verdict: None, body: body.into() }
    }

    /// A part that judges something.
    pub(crate) fn judging(title: &'static str, verdict: Verdict, body: impl Into<String>) -> Self {
        Self { title, verdict: Some(verdict), body: body.into() }
    }
}

/// The whole report.
#[derive(Debug)]
pub(crate) struct Report {
    is_standin: bool,
    sections: Vec<Section>,
}

impl Report {
    pub(crate) fn new(is_standin: bool) -> Self {
        Self { is_standin, sections: Vec::new() }
    }

    /// Adds a part, and prints it.
    pub(crate) fn add(&mut self, section: Section) {
        println!("{}", markdown(&section));
        self.sections.push(section);
    }

    /// Failed if any part has failed.
    pub(crate) fn verdict(&self) -> Verdict {
        let failed = self.sections.iter().any(|section| section.verdict == Some(Verdict::Failed));
        Verdict::of(!failed)
    }

    pub(crate) fn to_markdown(&self) -> String {
        let mut text = String::from("# GPU report\n\n");
        if self.is_standin {
            text.push_str(
                "**Nothing was run on a device.** There was none. Everything below ran over the stand-in driver, a \
                 `libcuda.so` built from the PTX virtual machine: it proves the paths of our code, and nothing about \
                 NVIDIA's driver or a device. Its figures are those of a processor. On a machine with a device: \
                 `cargo xtask gpu --require --write`.\n\n",
            );
        }
        let _ = writeln!(text, "Made by `cargo xtask gpu --write` on {}.", civil::today());
        for section in &self.sections {
            text.push('\n');
            text.push_str(&markdown(section));
        }
        text
    }
}

fn markdown(section: &Section) -> String {
    let Section { title, verdict, body } = section;
    let verdict = verdict.map(|verdict| format!(": {}", verdict.words())).unwrap_or_default();
    format!("## {title}{verdict}\n\n{}\n", body.trim_end())
}

/// A table of two columns or more.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head_cells: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let rows: String = rows.iter().map(|row| line(row)).collect();
    line(&head_cells) + &rule + &rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_part_fails_the_report_and_a_stand_in_is_named_first() {
        let mut report = Report::new(true);
        report.add(Section::stating("Device", "x"));
        report.add(Section::judging("A", Verdict::Passed, "fine"));
        report.add(Section::judging("B", Verdict::Skipped, "no tool"));
        assert_eq!(report.verdict(), Verdict::Passed);
        let text = report.to_markdown();
        assert!(text.starts_with("# GPU report\n\n**Nothing was run on a device.**"), "{text}");
        assert!(text.ends_with("## A: passed\n\nfine\n\n## B: not run\n\nno tool\n"), "{text}");
        report.add(Section::judging("C", Verdict::Failed, ""));
        assert_eq!(report.verdict(), Verdict::Failed);
    }

    #[test]
    fn a_table_has_a_head_a_rule_and_rows() {
        let rows = [vec!["1".to_owned(), "2".to_owned()]];
        assert_eq!(table(&["a", "b"], &rows), "| a | b |\n|---|---|\n| 1 | 2 |\n");
    }
}
