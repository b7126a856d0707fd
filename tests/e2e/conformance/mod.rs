//! What Magento's own tests ask of its wire, by what they ask (magento.md 7.1, 7.2 and the list of 7.6), over both stores.
//! Where the product differs on purpose (product.md 6), a test says how: a nonce counts for consumer, token and timestamp, an
//! old timestamp is refused too, and query and form may carry the parameters.

mod calls;
mod handshake;
mod settings;
