//! The signature base string: method, URL and parameters, each encoded once more (RFC 5849 section 3.4.1).

use crate::{
    BaseForm, ParameterName, Problem, RequestParts, Target,
    parameters::Parameters,
    percent::{self, CanonicalPair},
};

/// That of a request as it came, whatever it lacks: [`crate::SignedRequest::base_string`] without the checks, for who
/// explains a signature. Holds no secret, unless the method is PLAINTEXT and a parameter holds one.
pub fn of(parts: &RequestParts<'_>, form: BaseForm) -> Result<Vec<u8>, Problem> {
    let parameters = Parameters::of(parts)?;
    Ok(build(parts.method, &parts.target, &parameters, form))
}

/// Builds it in the given form. The parameters must be sorted.
pub(crate) fn build(method: &str, target: &Target<'_>, parameters: &Parameters<'_>, form: BaseForm) -> Vec<u8> {
    let url = target.scheme.as_str().len() + target.authority.len() + target.path.len();
    let mut base = Vec::with_capacity(32 + url + url / 2 + parameters.base_string_len());
    write_method(method, &mut base);
    base.push(b'&');
    target.write_encoded(form.magento_host, &mut base);
    base.push(b'&');
    if form.magento_sort || form.collapse_identical_pairs {
        let pairs = parameters.signed(form.magento_sort, form.collapse_identical_pairs);
        write_pairs(pairs.into_iter(), form, &mut base);
    } else {
        write_pairs(parameters.signed_in_order(), form, &mut base);
    }
    base
}

/// The method in upper case (C41).
fn write_method(method: &str, base: &mut Vec<u8>) {
    if method.bytes().all(|octet| octet.is_ascii_uppercase()) {
        base.extend_from_slice(method.as_bytes());
    } else {
        percent::encode_into(method.to_ascii_uppercase().as_bytes(), base);
    }
}

fn write_pairs<'p>(pairs: impl Iterator<Item = CanonicalPair<'p>>, form: BaseForm, base: &mut Vec<u8>) {
    for (at, pair) in pairs.enumerate() {
        if at > 0 {
            base.extend_from_slice(b"%26");
        }
        if pair.is_plain {
            base.extend_from_slice(pair.name);
            base.extend_from_slice(b"%3D");
            base.extend_from_slice(pair.value);
        } else {
            percent::encode_encoded_into(pair.name, base);
            base.extend_from_slice(b"%3D");
            if form.raw_body_hash && pair.name == ParameterName::BodyHash.as_str().as_bytes() {
                // Encoded once, by the base string alone.
                base.extend_from_slice(pair.value);
            } else {
                percent::encode_encoded_into(pair.value, base);
            }
        }
    }
}
