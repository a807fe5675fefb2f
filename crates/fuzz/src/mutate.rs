//! Mutations without coverage: the same ones for the same input.

/// Words that stand at the edges of what parsers know.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\r\n",
    b"\n",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"%00",
    b"%2f",
    b"\xff",
    b"\xc3\x28",
    "\u{202e}".as_bytes(),
    "\u{ff0e}".as_bytes(),
    b"-1",
    b"0",
    b"1e999",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"null",
    b"true",
    b"@",
    b"#",
    b"[::1]",
    b"127.0.0.1",
    b"::ffff:0:7f00:1",
    b"localhost",
    b"*",
    b"AND",
    b"OR",
    b"NOT ",
    b"(",
    b")",
    b"..",
    b"=",
    b"&",
    b";",
    b",",
    b" ",
];

/// A generator after SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }
}

/// `count` mutations of `input`; `other` is another input, to splice with.
pub fn mutations<'a>(input: &'a [u8], other: &'a [u8], count: usize) -> impl Iterator<Item = Vec<u8>> + 'a {
    let seed = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    (0..count).map(move |n| {
        let mut chance = Chance(seed.wrapping_add(n as u64));
        let mut out = input.to_vec();
        for _ in 0..=chance.below(3) {
            mutate(&mut out, other, &mut chance);
        }
        out
    })
}

fn mutate(out: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.below(out.len() + 1);
    match chance.below(8) {
        0 if at < out.len() => out[at] ^= 1 << chance.below(8),
        1 if at < out.len() => out[at] = u8::try_from(chance.below(256)).unwrap_or(0),
        2 if at < out.len() => {
            let to = (at + 1 + chance.below(8)).min(out.len());
            out.drain(at..to);
        }
        3 => {
            let to = (at + 1 + chance.below(16)).min(out.len());
            let again = out[at..to].to_vec();
            out.splice(at..at, again);
        }
        4 => out.truncate(at),
        5 if !other.is_empty() => {
            let from = chance.below(other.len());
            out.truncate(at);
            out.extend_from_slice(&other[from..]);
        }
        _ => {
            let word = WORDS[chance.below(WORDS.len())];
            out.splice(at..at, word.iter().copied());
        }
    }
}
