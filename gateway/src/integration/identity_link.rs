//! The link on which a merchant signs in to the third party (magento.md 3.1, step 4), with what it must know.

/// `link` with the consumer's key and the page that closes the window, each encoded as a query value. The link's own query
/// stays as it is. `None`: it is no URL.
pub fn complete(link: &str, consumer_key: &str, success_call_back: &str) -> Option<String> {
    let mut url = url::Url::parse(link).ok()?;
    url.query_pairs_mut()
        .append_pair("oauth_consumer_key", consumer_key)
        .append_pair("success_call_back", success_call_back);
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    // What Python's urllib.parse.urlencode makes of the two values.
    const ADDED: &str =
        "oauth_consumer_key=abc&success_call_back=http%3A%2F%2F127.0.0.1%3A9090%2Fintegration%2FloginSuccessCallback";
    const PAGE: &str = "http://127.0.0.1:9090/integration/loginSuccessCallback";

    #[test]
    fn a_link_gets_both_values_encoded() {
        let link = complete("https://partner.example/login", "abc", PAGE);

        assert_eq!(link, Some(format!("https://partner.example/login?{ADDED}")));
    }

    #[test]
    fn a_links_own_query_stays_as_it_is() {
        for own in ["shop=a%20b+c", "x=%2F&y", "q=1&q=2"] {
            let link = complete(&format!("https://partner.example/login?{own}"), "abc", PAGE);

            assert_eq!(link, Some(format!("https://partner.example/login?{own}&{ADDED}")));
        }
    }

    #[test]
    fn a_key_that_would_end_its_value_is_encoded() {
        let link = complete("https://partner.example/login", "a&b=c d", PAGE).unwrap();

        assert!(link.contains("oauth_consumer_key=a%26b%3Dc+d&"), "{link}");
    }
}
