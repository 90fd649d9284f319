//! The rules, one file for each kind of text.

mod architecture;
mod changelog;
mod ci;
mod decisions;
mod links;
mod manifests;
mod metrics;
mod rust_shape;
mod rust_words;
mod text;

use super::{Finding, Tree};

/// A rule: from the tree to what it found.
pub(crate) type Rule = fn(&Tree) -> Vec<Finding>;

/// Every rule.
pub(crate) const ALL: &[Rule] = &[
    text::lines_are_clean,
    text::no_machine_paths,
    rust_shape::files_open_with_their_purpose,
    rust_shape::files_are_short,
    rust_shape::modules_lie_beside_their_folder,
    rust_shape::one_integration_binary_per_package,
    rust_words::nothing_is_left_undone,
    rust_words::no_unsafe_code,
    manifests::lints_are_the_workspace_s,
    manifests::dependencies_are_the_workspace_s,
    manifests::folders_are_named_after_their_package,
    links::links_lead_somewhere,
    changelog::each_release_tells_its_formats,
    decisions::records_have_their_three_parts,
    architecture::names_exist,
    ci::skips_are_failures_in_ci,
    metrics::metrics_are_documented,
];
