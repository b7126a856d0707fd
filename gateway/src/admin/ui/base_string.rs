//! Base strings under each other (RFC 5849 section 3.4.1): what the gateway built, and what the client signed instead, split
//! in their three parts, with the octets that differ marked.

use maud::{Markup, html};

/// The card. `signed`: the client's, where it is known to be another.
pub(super) fn card(built: &str, signed: Option<&str>) -> Markup {
    html! {
        section.card aria-labelledby="base" {
            header { h2 id="base" { "Base string" } p.legend { span.pt.m { "method" } span.pt.u { "address" } span.pt.p { "parameters" } } }
            div.in-card.bs {
                figure {
                    figcaption { "Countersign built " small { "from the call as it came in" } }
                    (parts(built, |part, text| {
                        let other = of(signed.unwrap_or(built), part);
                        marked(&Difference::of(text, other), |own| html! { ins { (own) } })
                    }))
                }
                @if let Some(signed) = signed {
                    figure {
                        figcaption { "Your client signed " small { "with the mistake above, which gives its very signature" } }
                        (parts(signed, |part, text| {
                            marked(&Difference::of(text, of(built, part)), |own| html! { del { (own) } })
                        }))
                    }
                }
            }
        }
    }
}

/// A part of a base string, in order.
#[derive(Clone, Copy)]
enum Part {
    Method,
    Address,
    Parameters,
}

/// Encoded, so that only what joins the three parts is an ampersand; a client that joined more has them in the last.
fn of(text: &str, part: Part) -> &str {
    text.splitn(3, '&').nth(part as usize).unwrap_or_default()
}

fn parts(text: &str, shown: impl Fn(Part, &str) -> Markup) -> Markup {
    let show = |part| shown(part, of(text, part));
    html! {
        div.str {
            span.pt.m { span.vh { "Method: " } (show(Part::Method)) } span.amp { "&" }
            span.pt.u { span.vh { "Address: " } (show(Part::Address)) } span.amp { "&" }
            span.pt.p { span.vh { "Parameters: " } (show(Part::Parameters)) }
        }
    }
}

fn marked(difference: &Difference<'_>, mark: impl Fn(&str) -> Markup) -> Markup {
    html! {
        (difference.before)
        @if !difference.own.is_empty() { (mark(difference.own)) }
        (difference.after)
    }
}

/// A text against another: what both begin with, what it has of its own, what both end with.
#[derive(Debug, PartialEq, Eq)]
struct Difference<'t> {
    before: &'t str,
    own: &'t str,
    after: &'t str,
}

impl<'t> Difference<'t> {
    /// Marks whole words and escapes: half of one says nothing.
    fn of(text: &'t str, other: &str) -> Self {
        let (ours, theirs) = (words(text), words(other));
        let same = ours.iter().zip(&theirs).take_while(|(one, other)| one == other).count();
        let rest = ours.len().min(theirs.len()) - same;
        let from_the_end = ours.iter().rev().zip(theirs.iter().rev()).take(rest);
        let same_at_end = from_the_end.take_while(|(one, other)| one == other).count();
        let length = |words: &[&str]| words.iter().map(|one| one.len()).sum();
        let (before, rest) = text.split_at(length(ours.get(..same).unwrap_or_default()));
        let own = ours.get(same..ours.len() - same_at_end).unwrap_or_default();
        let (own, after) = rest.split_at(length(own));
        Self { before, own, after }
    }
}

/// Runs of what is never escaped (RFC 3986 section 2.3), escapes, also of escapes (`%26`, `%252C`), and whatever else there is
/// by itself.
fn words(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let plain = rest
            .bytes()
            .take_while(|octet| octet.is_ascii_alphanumeric() || b"-._~".contains(octet));
        let length = match plain.count() {
            0 => escape(rest).unwrap_or_else(|| first.len_utf8()),
            plain => plain,
        };
        let (word, after) = rest.split_at(length);
        found.push(word);
        rest = after;
    }
    found
}

/// The length of the escape that it begins with.
fn escape(text: &str) -> Option<usize> {
    let digits = |from: &str| from.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    let (twice, once) = (text.strip_prefix("%25"), text.strip_prefix('%'));
    let twice = twice.filter(|rest| digits(rest)).map(|_| "%25XX".len());
    twice.or_else(|| once.filter(|rest| digits(rest)).map(|_| "%XX".len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference<'t>(text: &'t str, other: &str) -> [&'t str; 3] {
        let Difference { before, own, after } = Difference::of(text, other);
        [before, own, after]
    }

    #[test]
    fn whole_words_and_escapes_that_differ_are_marked() {
        assert_eq!(
            difference("https%3A%2F%2Fa.example", "http%3A%2F%2Fa.example"),
            ["", "https", "%3A%2F%2Fa.example"]
        );
        assert_eq!(difference("a%253D1", "a%253B1"), ["a", "%253D", "1"]);
        assert_eq!(difference("a%2F1", "a%2f1"), ["a", "%2F", "1"]);
        assert_eq!(difference("a%3D1%26b%3D2", "a%3D1"), ["a%3D1", "%26b%3D2", ""]);
        assert_eq!(difference("a%3D1", "a%3D1%26b%3D2"), ["a%3D1", "", ""]);
        assert_eq!(difference("a%26a", "a"), ["a", "%26a", ""]);
        assert_eq!(difference("ü%2", "u%2"), ["", "ü", "%2"]);
        assert_eq!(difference("same", "same"), ["same", "", ""]);
    }

    #[test]
    fn the_client_s_base_string_stands_below_ours_and_both_are_marked() {
        let built = "GET&https%3A%2F%2Fa.example&b%3D1";
        let text = card(built, Some("GET&http%3A%2F%2Fa.example&b%3D1")).into_string();

        assert!(text.contains("<ins>https</ins>%3A"), "{text}");
        assert!(text.contains("<del>http</del>%3A"), "{text}");
        assert_eq!((text.matches("<ins>").count(), text.matches("<del>").count()), (1, 1));
        let alone = card(built, None).into_string();
        assert_eq!((alone.matches("<figure>").count(), alone.contains("<ins>")), (1, false));
    }
}
