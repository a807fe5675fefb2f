//! "Did you mean …?" for names that people mistype.

/// The candidate that `typed` was most likely meant to be; `None` when nothing is near.
pub(crate) fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |it: &str| it.rsplit('.').next().unwrap_or_default().to_owned();
    candidates
        .into_iter()
        .map(|it| {
            // `waiters` alone is near `limits.waiters`: people forget the section.
            let whole = distance(typed, it);
            let part = distance(&last(typed), &last(it)) + 1;
            (whole.min(part), it)
        })
        .filter(|(far, _)| *far <= 1 + typed.chars().count() / 4)
        .min_by_key(|(far, _)| *far)
        .map(|(_, it)| it)
}

/// Insertions, deletions and replacements from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        for ((to, pair), left) in b.iter().zip(row.windows(2)).zip(1..) {
            let [diagonal, above] = pair else { continue };
            let before = next.get(left - 1).copied().unwrap_or(usize::MAX - 1);
            next.push((diagonal + usize::from(from != *to)).min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (a, b, far) in [("", "", 0), ("a", "", 1), ("", "ab", 2), ("listen", "lisen", 1), ("kitten", "sitting", 3), ("abc", "abc", 0)] {
            assert_eq!((distance(a, b), distance(b, a)), (far, far), "{a} {b}");
        }
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let all = ["listen", "limits.waiters", "egress.ports", "data"];
        for (typed, meant) in
            [("lisen", Some("listen")), ("waiters", Some("limits.waiters")), ("egress.port", Some("egress.ports")), ("colour", None)]
        {
            assert_eq!(nearest(typed, all), meant, "{typed}");
        }
    }
}
