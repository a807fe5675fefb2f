//! "Did you mean …?"

/// The candidate that a mistyped `word` most likely meant, if any is near:
/// at most one change in three characters, and at most three in all, or its
/// beginning of at least four (`timeout` for `timeout_ms`).
#[must_use]
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).flat_map(char::to_lowercase).collect();
    candidates
        .into_iter()
        .map(|it| {
            let candidate: Vec<char> = it.chars().flat_map(char::to_lowercase).collect();
            let begun = word.len() >= 4 && candidate.starts_with(&word);
            (if begun { 1 } else { distance(&word, &candidate) }, it)
        })
        .filter(|(changes, it)| *changes <= (it.chars().count().min(word.len()) / 3).clamp(1, 3))
        .min_by_key(|(changes, _)| *changes)
        .map(|(_, it)| it)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut a_before = None;
    for (row, left) in a.iter().enumerate() {
        let mut now = vec![row + 1];
        let mut b_before = None;
        for (column, right) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best = (cell(&last, column) + usize::from(left != right)).min(cell(&last, column + 1) + 1).min(cell(&now, column) + 1);
            if a_before == Some(right) && b_before == Some(left) && column > 0 {
                best = best.min(cell(&before, column - 1) + 1);
            }
            now.push(best);
            b_before = Some(right);
        }
        a_before = Some(left);
        before = core::mem::replace(&mut last, now);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["limit", "after", "types", "subject", "wait", "payment.completed", "payment.created"];
        let check = |word, want| assert_eq!(suggest(word, known), want, "{word}");
        check("limits", Some("limit"));
        check("Limit", Some("limit"));
        check("limti", Some("limit"));
        check("type", Some("types"));
        check("subjct", Some("subject"));
        check("payment.complete", Some("payment.completed"));
        check("filter", None);
        check("x", None);
        check("", None);
        check("wat", Some("wait"));
        check("payment", Some("payment.completed"));
        check("subj", Some("subject"));
        check("sub", None);
    }
}
