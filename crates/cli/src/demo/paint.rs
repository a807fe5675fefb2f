//! Lines of coloured text, put together from pieces, so that their width is
//! known and their colours can be left out.

/// What a piece of text means; its colour follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Dim,
    Bold,
    Title,
    Good,
    Fair,
    Bad,
    Alarm,
}

impl Ink {
    /// The terminal's code (SGR), of its own sixteen colours: they fit its background.
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\x1b[2m",
            Self::Bold => "\x1b[1m",
            Self::Title => "\x1b[1;36m",
            Self::Good => "\x1b[32m",
            Self::Fair => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Alarm => "\x1b[1;31m",
        }
    }
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line(Vec<(Ink, String)>);

impl Line {
    /// An empty line.
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// This line and `text`.
    pub(super) fn and(mut self, ink: Ink, text: impl Into<String>) -> Self {
        self.push(ink, text);
        self
    }

    /// This line and `text`, right-aligned in `width` columns.
    pub(super) fn right(self, ink: Ink, width: usize, text: &str) -> Self {
        let pad = width.saturating_sub(text.chars().count());
        self.and(ink, format!("{:pad$}{text}", ""))
    }

    /// This line and `text`, left-aligned in `width` columns.
    pub(super) fn left(self, ink: Ink, width: usize, text: &str) -> Self {
        let pad = width.saturating_sub(text.chars().count());
        self.and(ink, format!("{text}{:pad$}", ""))
    }

    /// Adds `text`.
    pub(super) fn push(&mut self, ink: Ink, text: impl Into<String>) {
        let text = text.into();
        match self.0.last_mut() {
            Some((last, so_far)) if *last == ink => so_far.push_str(&text),
            _ => self.0.push((ink, text)),
        }
    }

    /// Columns it takes; every character that the demo writes takes one.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// This line, cut to `width` columns.
    pub(super) fn cut(mut self, width: usize) -> Self {
        let mut left = width;
        for (_, text) in &mut self.0 {
            let kept: String = text.chars().take(left).collect();
            left -= kept.chars().count();
            *text = kept;
        }
        self.0.retain(|(_, text)| !text.is_empty());
        self
    }

    /// The text, with the terminal's codes if it is to be in `colour`.
    pub(super) fn show(&self, colour: bool) -> String {
        let mut out = String::new();
        for (ink, text) in &self.0 {
            if colour && !ink.code().is_empty() {
                out.push_str(ink.code());
                out.push_str(text);
                out.push_str("\x1b[0m");
            } else {
                out.push_str(text);
            }
        }
        if !colour {
            out.truncate(out.trim_end().len());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_and_are_cut_by_columns() {
        let line = Line::new().left(Ink::Bold, 6, "naïve").right(Ink::Plain, 6, "▁▂▃").and(Ink::Plain, "!");
        assert_eq!(line.show(false), "naïve    ▁▂▃!");
        assert_eq!(line.width(), 13);
        assert_eq!(line.clone().cut(11).show(false), "naïve    ▁▂");
        assert_eq!(line.show(true), "\x1b[1mnaïve \x1b[0m   ▁▂▃!");
    }
}
