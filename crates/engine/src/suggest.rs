//! "Did you mean …?": the known name that is nearest to a wrong one.

/// The nearest of `known`, if it is near enough to have been meant: at most a
/// third of the longer name's characters differ (a swapped pair counts as one).
#[must_use]
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given: Vec<char> = given.chars().take(64).flat_map(char::to_lowercase).collect();
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        let chars: Vec<char> = name.chars().take(64).flat_map(char::to_lowercase).collect();
        let far = distance(&given, &chars);
        if far * 3 <= given.len().max(chars.len()) && best.is_none_or(|(least, _)| far < least) {
            best = Some((far, name));
        }
    }
    best.map(|it| it.1)
}

/// The clause to append to a sentence: `; did you mean `x`?`, or nothing.
#[must_use]
pub fn clause<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    did_you_mean(given, known).map_or_else(String::new, |it| format!("; did you mean `{it}`?"))
}

/// Insertions, deletions, replacements and swaps of neighbours between the two.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut least = (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
        }
        before = core::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known = ["amount", "currency", "customer", "transitions"];
        for (given, want) in [
            ("amuont", Some("amount")),
            ("ammount", Some("amount")),
            ("Currency", Some("currency")),
            ("costumer", Some("customer")),
            ("transition", Some("transitions")),
            ("url", None),
            ("", None),
            ("xyzzy", None),
        ] {
            assert_eq!(did_you_mean(given, known), want, "{given}");
        }
        assert_eq!(clause("amuont", known), "; did you mean `amount`?");
        assert_eq!(clause("zzz", known), "");
    }
}
