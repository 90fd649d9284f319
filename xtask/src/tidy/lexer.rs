//! Takes a Rust source apart into code, comments and strings, so that a rule looks at the right one.
//!
//! Not a parser: it knows where comments and literals begin and end, and nothing else. Lines and columns stay as
//! they are; what is left out is filled with spaces.

/// A source taken apart. Each part has the lines of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Masked {
    /// Without comments and without the insides of strings.
    pub(crate) code: String,
    /// Only the comments.
    pub(crate) comments: String,
    /// Only the insides of strings.
    pub(crate) strings: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    String,
}

/// Takes `source` apart. Never fails: what is not closed ends with the source.
pub(crate) fn mask(source: &str) -> Masked {
    let chars: Vec<char> = source.chars().collect();
    let mut parts = vec![Part::Code; chars.len()];
    let mut at = 0;
    while at < chars.len() {
        let (part, len) = next_part(&chars, at);
        let end = chars.len().min(at + len);
        parts[at..end].fill(part);
        at = end;
    }
    let only = |wanted: Part| -> String {
        let keep = |(&c, &part): (&char, &Part)| if part == wanted || c == '\n' { c } else { ' ' };
        chars.iter().zip(&parts).map(keep).collect()
    };
    Masked { code: only(Part::Code), comments: only(Part::Comment), strings: only(Part::String) }
}

/// What begins at `at`, and how many characters it has: at least one.
fn next_part(chars: &[char], at: usize) -> (Part, usize) {
    let rest = &chars[at..];
    let starts_word = at == 0 || !is_word(chars[at - 1]);
    match rest {
        ['/', '/', ..] => (Part::Comment, rest.iter().position(|&c| c == '\n').unwrap_or(rest.len())),
        ['/', '*', ..] => (Part::Comment, block_comment_len(rest)),
        ['"', ..] => (Part::String, string_len(rest)),
        ['\'', ..] => (Part::Code, char_literal_len(rest)),
        ['b' | 'c', '"', ..] if starts_word => (Part::String, 1 + string_len(&rest[1..])),
        ['b' | 'c', 'r', ..] if starts_word => {
            raw_string_len(&rest[2..]).map_or((Part::Code, 1), |n| (Part::String, n + 2))
        }
        ['r', ..] if starts_word => {
            raw_string_len(&rest[1..]).map_or((Part::Code, 1), |n| (Part::String, n + 1))
        }
        _ => (Part::Code, 1),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment_len(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth.saturating_sub(1), at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string_len(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `rest` begins after the `r`. `None` if this is no raw string but a raw identifier, or a word with an r.
fn raw_string_len(rest: &[char]) -> Option<usize> {
    let hashes = rest.iter().take_while(|&&c| c == '#').count();
    if rest.get(hashes) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let inside = &rest[hashes + 1..];
    let len = inside.windows(end.len()).position(|window| window == end);
    Some(len.map_or(rest.len(), |len| hashes + 1 + len + end.len()))
}

/// A character literal, or the single quote of a lifetime.
fn char_literal_len(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', ..] => rest.iter().skip(3).position(|&c| c == '\'').map_or(rest.len(), |end| end + 4),
        ['\'', _, '\'', ..] => 3,
        _ => 1,
    }
}

/// The words of `text`: runs of letters, digits and underscores.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comments_and_strings_are_told_apart() {
        let masked = mask("let a = \"in // string\"; // said \"so\"\nb(); /* x /* y */ z */ c();\n");
        assert_eq!(words(&masked.code).collect::<Vec<_>>(), ["let", "a", "b", "c"]);
        assert_eq!(words(&masked.comments).collect::<Vec<_>>(), ["said", "so", "x", "y", "z"]);
        assert_eq!(words(&masked.strings).collect::<Vec<_>>(), ["in", "string"]);
        assert_eq!(masked.code.lines().count(), 2);
    }

    #[test]
    fn raw_strings_byte_strings_and_escapes_end_where_they_end() {
        let masked = mask(r####"f(r#"a " b"#, b"c\"d", br##"e"# f"##, r"g\"); h(var, r#type)"####);
        assert_eq!(words(&masked.code).collect::<Vec<_>>(), ["f", "h", "var", "r", "type"]);
        let strings: Vec<_> = words(&masked.strings).collect();
        assert_eq!(strings, ["r", "a", "b", "b", "c", "d", "br", "e", "f", "r", "g"]);
    }

    #[test]
    fn quotes_of_characters_and_lifetimes_open_no_string() {
        let masked = mask("fn f<'a>(x: &'a str) { g('\"', '\\'', '\\u{7f}', '/'); } // end");
        assert_eq!(words(&masked.comments).collect::<Vec<_>>(), ["end"]);
        assert!(words(&masked.code).any(|word| word == "g"));
    }

    #[test]
    fn what_is_not_closed_ends_with_the_source() {
        for source in ["\"open", "/* open", "r#\"open", "'\\", "'", "\"\\", "b\"", "br", "r", "/*/"] {
            assert_eq!(mask(source).code.chars().count(), source.chars().count(), "{source}");
        }
    }
}
