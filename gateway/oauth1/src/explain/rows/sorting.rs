//! E39 to E45: the order of the parameters.

use super::{Dimension, Variant};
use crate::explain::order::{Group, Order};

pub(super) fn add(out: &mut Vec<Variant<'_>>) {
    out.push(to(39, Order::AsSent));
    for groups in Group::ORDERS {
        for oauth_sorted in [false, true] {
            out.push(to(39, Order::Grouped(groups, oauth_sorted)));
        }
    }
    out.push(to(40, Order::Natural));
    out.push(to(41, Order::Decoded));
    out.push(to(42, Order::Joined));
    out.push(to(43, Order::NameOnly));
    out.push(to(44, Order::CaseBlind));
    for first in [true, false] {
        out.push(to(45, Order::OauthApart(first)));
    }
    for groups in [
        [Group::Oauth, Group::Query, Group::Body],
        [Group::Query, Group::Body, Group::Oauth],
    ] {
        out.push(to(45, Order::SortedApart(groups)));
    }
}

fn to<'a>(row: u8, order: Order) -> Variant<'a> {
    Variant::new(row, Dimension::Sorting, move |draft| draft.order = order)
}
