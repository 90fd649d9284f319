//! [`Form`]: the name of an instruction with its modifiers, as it stands in the list of forms.

/// An opcode with modifiers.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) text: String,
    pub(crate) opcode: String,
    pub(crate) types: Vec<String>,
    pub(crate) words: Vec<String>,
}

impl Form {
    pub(crate) fn new(text: &str) -> Self {
        let mut parts = text.split('.').map(str::to_owned);
        let opcode = parts.next().unwrap();
        let (types, words) = parts.partition(|word| is_type(word));
        Self { text: text.to_owned(), opcode, types, words }
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|other| other == word)
    }

    /// The only or the first type.
    pub(crate) fn ty(&self) -> &str {
        &self.types[0]
    }

    pub(crate) fn is_float(&self) -> bool {
        self.ty().contains('f')
    }
}

fn is_type(word: &str) -> bool {
    let digits =
        word.trim_start_matches("tf").trim_start_matches("bf").trim_start_matches(['b', 'u', 's', 'f']);
    digits.len() < word.len() && digits.chars().all(|c| c.is_ascii_digit() || c == 'x') && !digits.is_empty()
}
