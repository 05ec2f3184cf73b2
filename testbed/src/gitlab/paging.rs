//! Offset pagination, with its headers.

use serde::Serialize;

use super::params::{Declarations, Given, Params};
use super::reply::{EXTERNAL_URL, Reply};
use super::request::Request;

/// The page asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    number: usize,
    size: usize,
}

/// Above this many rows GitLab no longer counts: the totals and the last page's link disappear.
const COUNTED: usize = 10_000;

impl Page {
    /// `page` is 1 unless given, `per_page` 20 and at most 100.
    ///
    /// # Errors
    ///
    /// The 400 for what isn't a number, or a size of 0 or less.
    pub(super) fn declared(params: &Params) -> Result<Self, Reply> {
        let mut declared = Declarations::of(params);
        let number = declared.integer("page");
        let size = declared.integer("per_page");
        match size {
            Given::Is(0) => declared.refuse("per_page has a value not allowed"),
            Given::Is(..0) => declared.refuse("per_page does not have a valid value"),
            Given::Absent | Given::Null | Given::Is(1..) => {}
        }
        declared.finish()?;
        let within = |given: Given<i64>, default: i64, most: i64| {
            usize::try_from(given.is().unwrap_or(default).clamp(1, most)).unwrap_or(1)
        };
        Ok(Self {
            number: within(number, 1, i64::from(u32::MAX)),
            size: within(size, 20, 100),
        })
    }

    /// One page of `rows`, with the headers that tell of the others.
    ///
    /// `Link` carries the address that GitLab is configured with, not the one that was called.
    pub(super) fn of<T: Serialize>(self, rows: &[T], request: &Request) -> Reply {
        let Self { number, size } = self;
        let total = rows.len();
        let last = total.div_ceil(size).max(1);
        let shown: Vec<&T> = rows
            .iter()
            .skip((number - 1).saturating_mul(size))
            .take(size)
            .collect();
        let previous = (number > 1).then(|| number - 1);
        let next = (number < last).then(|| number + 1);
        let text = |page: Option<usize>| page.map(|page| page.to_string()).unwrap_or_default();
        let is_counted = total <= COUNTED;

        let link = |rel: &str, page: usize| {
            let address = format!("{EXTERNAL_URL}{}", request.path);
            format!("<{address}?page={page}&per_page={size}>; rel=\"{rel}\"")
        };
        let mut links = Vec::new();
        links.extend(previous.map(|page| link("prev", page)));
        links.extend(next.map(|page| link("next", page)));
        links.push(link("first", 1));
        if is_counted {
            links.push(link("last", last));
        }

        let reply = Reply::json(200, &shown)
            .with("x-per-page", size.to_string())
            .with("x-page", number.to_string())
            .with("x-next-page", text(next))
            .with("x-prev-page", text(previous))
            .with("link", links.join(", "));
        if is_counted {
            reply
                .with("x-total", total.to_string())
                .with("x-total-pages", last.to_string())
        } else {
            reply
        }
    }
}
