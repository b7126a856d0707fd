use crate::config::Requirement;
use crate::import::own::Own;
use crate::import::tests::{acl, checked, imported, noted, options, webapi};
use crate::import::{self, Imported, Options, Weight};
use crate::proxy::route::{Found, Routes};

/// A route on one line; `inner` follows its resources.
fn route(method: &str, url: &str, refs: &[&str], inner: &str) -> String {
    let refs: Vec<String> = refs.iter().map(|id| format!("<resource ref=\"{id}\"/>")).collect();
    format!(
        "<route url=\"{url}\" method=\"{method}\"><service class=\"Acme\\Api\" method=\"run\"/><resources>{}</resources>{inner}</route>\n",
        refs.concat()
    )
}

fn with_acl(routes: &str) -> Imported {
    imported(&[
        acl(
            "A_A",
            "<resource id=\"A_A::a\" title=\"Aaa\"/><resource id=\"A_A::b\" title=\"Bbb\"/>",
        ),
        webapi("A_A", routes),
    ])
}

#[test]
fn variables_become_segments_behind_an_optional_store_code() {
    let imported = with_acl(&route("GET", "/V1/products/:sku/links/:type-id/", &["A_A::a"], ""));

    let made = &imported.routes[0];
    assert_eq!(made.path, "/rest/{store?}/V1/products/{sku}/links/{type_id}");
    assert_eq!(
        (made.method.as_str(), made.resources.as_slice()),
        ("GET", ["A_A::a".to_owned()].as_slice())
    );
    assert!(made.takes_slash, "an SKU may hold a slash");
    let config = checked(&imported, &options());
    let table = Routes::new(&config.routes).unwrap();
    for path in ["/rest/V1/products/a%2Fb/links/1", "/rest/de/V1/products/x/links/1/"] {
        assert_eq!(table.find("shop", "GET", path), Found::Route(0), "{path}");
    }
}

#[test]
fn the_literal_wins_over_the_variable() {
    let imported = with_acl(
        &[
            route("GET", "/V1/customers/:customerId", &["A_A::a"], ""),
            route("GET", "/V1/customers/me", &["self"], ""),
            route("DELETE", "/V1/customers/:customerId", &["A_A::b"], ""),
            route("GET", "/V1/carts/mine", &["self"], ""),
            route("GET", "/V1/carts/:cartId", &["A_A::a"], ""),
            route("GET", "/V1/a/:x/c", &["A_A::a"], ""),
            route("GET", "/V1/:y/b/c", &["A_A::b"], ""),
        ]
        .concat(),
    );

    let config = checked(&imported, &options());
    let table = Routes::new(&config.routes).unwrap();
    let serves = |method: &str, path: &str| {
        let Found::Route(at) = table.find("shop", method, path) else {
            return String::new();
        };
        config.routes[at].path.clone()
    };
    assert_eq!(serves("GET", "/rest/V1/customers/me"), "/rest/{store?}/V1/customers/me");
    assert_eq!(
        serves("GET", "/rest/de/V1/customers/7"),
        "/rest/{store?}/V1/customers/{customerId}"
    );
    assert_eq!(
        serves("DELETE", "/rest/V1/customers/me"),
        "/rest/{store?}/V1/customers/{customerId}"
    );
    assert_eq!(serves("GET", "/rest/V1/carts/mine"), "/rest/{store?}/V1/carts/mine");
    assert_eq!(serves("GET", "/rest/V1/a/b/c"), "/rest/{store?}/V1/a/{x}/c");
}

#[test]
fn of_two_routes_that_no_request_tells_apart_the_last_in_order_serves() {
    let imported = with_acl(
        &[
            route("GET", "/V1/carts/:cartId", &["A_A::a"], ""),
            route("GET", "/V1/carts/:quoteId", &["A_A::b"], ""),
        ]
        .concat(),
    );

    let paths: Vec<&str> = imported.routes.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["/rest/{store?}/V1/carts/{quoteId}"]);
    assert_eq!(
        noted(&imported, Weight::NotCarried),
        [
            "A_A/etc/webapi.xml:2 GET /V1/carts/:cartId: another route is /rest/{store?}/V1/carts/{cartId} too; as in the \
          storefront, the last serves"
        ]
    );
}

#[test]
fn urls_that_can_be_no_route_are_told() {
    let imported = with_acl(
        &["/V1//x", "/V1/../x", "/V1/a%20b", "/V1/{x}", "V1/x"]
            .map(|url| route("GET", url, &["A_A::a"], ""))
            .concat(),
    );

    assert!(imported.routes.is_empty());
    assert_eq!(noted(&imported, Weight::NotCarried).len(), 5);
    checked(&imported, &options());
}

#[test]
fn anonymous_asks_for_nothing_and_self_stands_alone() {
    let imported = with_acl(
        &[
            route("GET", "/V1/1", &["anonymous"], ""),
            route("GET", "/V1/2", &["anonymous", "A_A::a"], ""),
            route("GET", "/V1/3", &["self"], ""),
            route("GET", "/V1/4", &["self", "A_A::a"], ""),
            route("GET", "/V1/5", &["anonymous", "self"], ""),
            route("GET", "/V1/6", &[], ""),
            route("GET", "/V1/7", &["A_A::b", "A_A::a", "A_A::b"], ""),
            route("GET", "/V1/8", &["A_A::a, A_A::b"], ""),
            route("GET", "/V1/9", &["Magento_Backend::all"], ""),
        ]
        .concat(),
    );

    let needed: Vec<Requirement> = checked(&imported, &options())
        .routes
        .into_iter()
        .map(|one| one.requirement)
        .collect();
    let ids = |ids: &[&str]| Requirement::Resources(ids.iter().map(|id| (*id).to_owned()).collect());
    assert_eq!(
        needed,
        [
            Requirement::Anonymous,
            ids(&["A_A::a"]),
            Requirement::Own,
            Requirement::Nothing,
            Requirement::Own,
            Requirement::Nothing,
            ids(&["A_A::a", "A_A::b"]),
            ids(&["Magento_Backend::all"]),
            ids(&["Magento_Backend::all"]),
        ]
    );
    let look = noted(&imported, Weight::Look);
    assert_eq!(look.len(), 3, "{look:#?}");
}

#[test]
fn a_later_module_overrides_service_and_secure_and_adds_resources_and_parameters() {
    let first = route(
        "GET",
        "/V1/a",
        &["A_A::a"],
        "<data><parameter name=\"x\" force=\"true\">1</parameter></data>",
    );
    let second = "\n<route url=\"/V1/a/\" method=\"GET\" secure=\"true\"><service class=\"B\\Api\" method=\"go\"/><resources>\n\
                  <resource ref=\"A_A::b\"/><resource ref=\"A_A::a\"/></resources><data><parameter name=\"x\" \
                  force=\"true\">2</parameter><parameter name=\"y\" force=\"true\">3</parameter></data></route>";

    let imported = imported(&[
        acl(
            "A_A",
            "<resource id=\"A_A::a\" title=\"Aaa\"/><resource id=\"A_A::b\" title=\"Bbb\"/>",
        ),
        webapi("A_A", &first),
        webapi("B_B", second),
    ]);

    let made = &imported.routes[0];
    assert_eq!(imported.routes.len(), 1);
    assert!(made.is_secure);
    assert_eq!(
        (made.module.as_str(), made.resources.as_slice()),
        ("A_A", ["A_A::a".to_owned(), "A_A::b".to_owned()].as_slice())
    );
    assert_eq!(
        made.origin,
        "B\\Api::go (A_A/etc/webapi.xml:2, again in B_B/etc/webapi.xml:3)"
    );
    let force: Vec<(&str, &str)> = made
        .force
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(force, [("x", "2"), ("y", "3")]);
    assert_eq!(
        noted(&imported, Weight::Look),
        [
            "B_B/etc/webapi.xml:4 GET /V1/a: needs A_A::b besides A_A::a, which A_A/etc/webapi.xml:2 asks for: a later module adds \
          to a route's resources, it replaces none"
        ]
    );
}

#[test]
fn booleans_are_read_as_they_say_and_an_explicit_false_is_told() {
    let routes = ["true", "1", "false", "0", "yes"].map(|secure| {
        format!("<route url=\"/V1/{secure}\" method=\"GET\" secure=\"{secure}\"><resources><resource ref=\"anonymous\"/></resources></route>\n")
    });

    let imported = with_acl(&routes.concat());

    let secure: Vec<(&str, bool)> = imported
        .routes
        .iter()
        .map(|one| (one.path.rsplit('/').next().unwrap(), one.is_secure))
        .collect();
    assert_eq!(
        secure,
        [
            ("0", false),
            ("1", true),
            ("false", false),
            ("true", true),
            ("yes", true)
        ]
    );
    assert_eq!(
        noted(&imported, Weight::Look),
        [
            "A_A/etc/webapi.xml:4 GET /V1/false: secure=\"false\" is read as false; some versions of the storefront read it as true",
            "A_A/etc/webapi.xml:6 GET /V1/yes: secure=\"yes\" is neither true nor false: taken for true, as the storefront does",
        ]
    );
}

#[test]
fn forced_parameters_are_carried_where_they_can_be_and_told_where_not() {
    let data = "<data input-array-size-limit=\"50\">\n<parameter name=\"customer.id\" force=\"true\">%customer_id%</parameter>\n\
                <parameter name=\"store\" force=\"false\">1</parameter>\n<parameter name=\"z\" force=\"true\">%odd%</parameter>\n\
                <parameter name=\"cartId\" force=\"true\">%cart_id%</parameter>\n\
                <parameter name=\"customer.id.x\" force=\"true\">1</parameter></data>";
    let files = [webapi("A_A", &route("PUT", "/V1/customers/me", &["self"], data))];

    let imported = imported(&files);

    let lost = noted(&imported, Weight::NotCarried);
    let why: Vec<&str> = lost.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        why,
        [
            "A_A/etc/webapi.xml:2 PUT /V1/customers/me",
            "A_A/etc/webapi.xml:4 PUT /V1/customers/me",
            "A_A/etc/webapi.xml:5 PUT /V1/customers/me",
            "A_A/etc/webapi.xml:6 PUT /V1/customers/me",
            "A_A/etc/webapi.xml:7 PUT /V1/customers/me",
        ]
    );
    assert!(
        lost[3].contains("\"%cart_id%\" needs a record that only the storefront has"),
        "{lost:?}"
    );
    assert!(lost[4].contains("it is the same member as \"customer.id\""), "{lost:?}");
    let force = &imported.routes[0].force;
    assert_eq!(force.len(), 1);
    assert_eq!(force.get("customer.id").map(String::as_str), Some("%customer_id%"));
    checked(&imported, &options());
}

#[test]
fn asynchronous_forms_are_named_or_made() {
    let files = [webapi(
        "A_A",
        &[
            route("GET", "/V1/products/:sku", &["anonymous"], ""),
            route("PUT", "/V1/products/:sku/media/:entryId", &["anonymous"], ""),
        ]
        .concat(),
    )];

    let look = noted(&imported(&files), Weight::Look);
    assert!(look[0].contains("asynchronous and bulk forms of 1 route:"), "{look:?}");

    let with_async = Options {
        with_async: true,
        ..options()
    };
    let made = import::read(&files, &Own::default(), &with_async).unwrap();
    let paths: Vec<&str> = made.routes.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/rest/{store?}/V1/products/{sku}",
            "/rest/{store?}/V1/products/{sku}/media/{entryId}",
            "/rest/{store?}/async/V1/products/{sku}/media/{entryId}",
            "/rest/{store?}/async/bulk/V1/products/bySku/media/byEntryId",
        ]
    );
    assert!(made.notes.is_empty());
    checked(&made, &with_async);
}

#[test]
fn what_the_gateway_answers_itself_is_left_to_it() {
    let imported = with_acl(&route("POST", "/V1/integration/admin/token", &["anonymous"], ""));

    assert!(imported.routes.is_empty());
    assert_eq!(noted(&imported, Weight::Look).len(), 1);
}

#[test]
fn routes_that_lack_something_are_told() {
    let imported = with_acl(
        "<route method=\"GET\"/>\n<route url=\"/V1/a\"/>\n<route url=\"/V1/a\" method=\"BREW\"/>\n<route url=\"/V1/a\" \
         method=\"get\"><resources><resource/></resources><data><parameter>1</parameter></data></route>",
    );

    assert_eq!(imported.routes.len(), 1);
    assert_eq!(noted(&imported, Weight::NotCarried).len(), 5);
}

#[test]
fn a_url_with_a_query_is_no_route_and_is_told() {
    let imported = with_acl(&route("GET", "/V1/q?x=1", &["A_A::a"], ""));

    assert!(imported.routes.is_empty());
    let told = noted(&imported, Weight::NotCarried);
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("without ? or #"), "{told:?}");
}

#[test]
fn what_the_operator_s_own_files_define_stays_theirs() {
    let mut own = Own::default();
    own.take(
        "conf/own.toml",
        "[[resources]]\nid = \"A_A::a\"\n[[routes]]\npath = \"/rest/{code?}/V1/a/{name}\"\nmethods = [\"GET\"]\n[[routes]]\npath = \
         \"/rest/{store?}/V1/b\"\nhost = \"other\"\n[[integrations]]\nname = \"Mine\"\n",
    );
    let files = [
        acl(
            "A_A",
            "<resource id=\"A_A::a\" title=\"Aaa\"><resource id=\"A_A::b\" title=\"Bbb\"/></resource>",
        ),
        webapi(
            "A_A",
            &[
                route("GET", "/V1/a/:id", &["A_A::a"], ""),
                route("PUT", "/V1/a/:id", &["A_A::a"], ""),
                route("GET", "/V1/b", &["A_A::b"], ""),
            ]
            .concat(),
        ),
    ];

    let imported = import::read(&files, &own, &options()).unwrap();

    let made: Vec<(&str, &str)> = imported
        .routes
        .iter()
        .map(|one| (one.method.as_str(), one.path.as_str()))
        .collect();
    assert_eq!(
        made,
        [("PUT", "/rest/{store?}/V1/a/{id}"), ("GET", "/rest/{store?}/V1/b")]
    );
    let ids: Vec<&str> = imported.resources.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["Magento_Backend::admin", "A_A::b"]);
    assert_eq!(
        noted(&imported, Weight::Look).len(),
        3,
        "{:#?}",
        noted(&imported, Weight::Look)
    );
    assert!(noted(&imported, Weight::NotCarried).is_empty());
}
