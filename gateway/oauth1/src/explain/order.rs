//! The orders in which clients sign their parameters.

use std::cmp::Ordering;

use super::draft::Written;
use super::source::Origin;
use crate::natural_order;

/// How the pairs are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// By encoded name, then value (RFC 5849 section 3.4.1.3.2).
    Rfc,
    /// As they came on the wire.
    AsSent,
    /// Group after group as sent, the OAuth group sorted or not.
    Grouped([Group; 3], bool),
    /// Each group sorted, one behind the other.
    SortedApart([Group; 3]),
    /// OAuth parameters sorted, then all others sorted; or the reverse.
    OauthApart(bool),
    /// Natural order of encoded names (magento.md 2.6).
    Natural,
    /// By decoded name and value.
    Decoded,
    /// The joined `name=value` as one string.
    Joined,
    /// By name; equal names as sent.
    NameOnly,
    /// Without regard to letter case.
    CaseBlind,
}

/// Where a pair belongs when groups are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Oauth,
    Query,
    Body,
}

impl Group {
    /// All orders of the three.
    pub(super) const ORDERS: [[Self; 3]; 6] = [
        [Self::Oauth, Self::Query, Self::Body],
        [Self::Oauth, Self::Body, Self::Query],
        [Self::Query, Self::Oauth, Self::Body],
        [Self::Query, Self::Body, Self::Oauth],
        [Self::Body, Self::Oauth, Self::Query],
        [Self::Body, Self::Query, Self::Oauth],
    ];

    fn of(written: &Written<'_, '_>) -> Self {
        match written.pair.origin {
            _ if written.pair.is_oauth() => Self::Oauth,
            Origin::Header => Self::Oauth,
            Origin::Query => Self::Query,
            Origin::Form => Self::Body,
        }
    }

    fn rank(written: &Written<'_, '_>, order: [Self; 3]) -> usize {
        let group = Self::of(written);
        order.iter().position(|one| *one == group).unwrap_or_default()
    }
}

pub(super) fn sort(written: &mut [Written<'_, '_>], order: Order) {
    match order {
        Order::Rfc => written.sort_by(rfc),
        Order::AsSent => {}
        Order::Grouped(groups, oauth_sorted) => written.sort_by(|one, other| {
            let rank = Group::rank(one, groups).cmp(&Group::rank(other, groups));
            rank.then_with(|| match Group::of(one) {
                Group::Oauth if oauth_sorted => rfc(one, other),
                Group::Oauth | Group::Query | Group::Body => Ordering::Equal,
            })
        }),
        Order::SortedApart(groups) => written.sort_by(|one, other| {
            let rank = Group::rank(one, groups).cmp(&Group::rank(other, groups));
            rank.then_with(|| rfc(one, other))
        }),
        Order::OauthApart(first) => written.sort_by(|one, other| {
            let by = (one.pair.is_oauth() != first).cmp(&(other.pair.is_oauth() != first));
            by.then_with(|| rfc(one, other))
        }),
        Order::Natural => {
            written.sort_by(rfc);
            written.sort_by(|one, other| {
                natural_order::compare(&one.name, &other.name)
                    .then_with(|| natural_order::compare(&one.value, &other.value))
            });
        }
        Order::Decoded => written.sort_by(|one, other| {
            let by_name = one.pair.name.cmp(&other.pair.name);
            by_name.then_with(|| one.pair.value.cmp(&other.pair.value))
        }),
        Order::Joined => written.sort_by(|one, other| joined(one).cmp(joined(other))),
        Order::NameOnly => written.sort_by(|one, other| one.name.cmp(&other.name)),
        Order::CaseBlind => written.sort_by(|one, other| {
            let by_name = one.name.to_ascii_lowercase().cmp(&other.name.to_ascii_lowercase());
            by_name.then_with(|| one.value.to_ascii_lowercase().cmp(&other.value.to_ascii_lowercase()))
        }),
    }
}

fn rfc(one: &Written<'_, '_>, other: &Written<'_, '_>) -> Ordering {
    one.name.cmp(&other.name).then_with(|| one.value.cmp(&other.value))
}

fn joined<'w>(written: &'w Written<'_, '_>) -> impl Iterator<Item = &'w u8> {
    written.name.iter().chain(b"=").chain(&written.value)
}
