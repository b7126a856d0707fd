use crate::import::tests::{acl, checked, imported, noted, options, webapi};
use crate::import::{Kind, Weight, tests};

fn tree(imported: &crate::import::Imported) -> Vec<(&str, Option<&str>, &str, i64)> {
    imported
        .resources
        .iter()
        .map(|one| (one.id.as_str(), one.parent.as_deref(), one.title.as_str(), one.order))
        .collect()
}

#[test]
fn modules_open_one_another_s_nodes_and_later_attributes_override() {
    let imported = imported(&[
        acl(
            "A_A",
            "<resource id=\"A_A::top\" title=\"Top\" sortOrder=\"20\"><resource id=\"A_A::leaf\" title=\"Leaf\"/></resource>",
        ),
        acl(
            "B_B",
            "<resource id=\"A_A::top\" title=\"The top\" sortOrder=\"5\"><resource id=\"B_B::leaf\" translate=\"title\" \
             title=\"Another &amp; leaf\"/></resource>",
        ),
    ]);

    assert_eq!(
        tree(&imported),
        [
            ("Magento_Backend::admin", None, "Magento_Backend::admin", 0),
            ("A_A::top", Some("Magento_Backend::admin"), "The top", 5),
            ("A_A::leaf", Some("A_A::top"), "Leaf", 0),
            ("B_B::leaf", Some("A_A::top"), "Another & leaf", 0),
        ]
    );
    assert_eq!(imported.resources[3].module, "B_B");
    assert!(imported.notes.is_empty(), "{:?}", imported.notes);
}

#[test]
fn a_disabled_node_goes_with_all_below_it_unless_a_later_module_switches_it_on() {
    let imported = imported(&[
        acl(
            "A_A",
            "<resource id=\"A_A::off\" title=\"Off\" disabled=\"true\"><resource id=\"A_A::below\" title=\"Below\">\
             <resource id=\"A_A::deep\" title=\"Deep\"/></resource></resource><resource id=\"A_A::on\" title=\"On\" disabled=\"1\"/>",
        ),
        acl(
            "B_B",
            "<resource id=\"A_A::on\" disabled=\"false\"/><resource id=\"A_A::off\"><resource id=\"B_B::x\"/></resource>",
        ),
    ]);

    let ids: Vec<&str> = imported.resources.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["Magento_Backend::admin", "A_A::on"]);
}

#[test]
fn an_id_below_two_parents_is_told_and_stays_below_the_first() {
    let imported = imported(&[
        acl(
            "A_A",
            "<resource id=\"A_A::a\" title=\"Aaa\"><resource id=\"A_A::x\" title=\"Xxx\"/></resource>",
        ),
        acl(
            "B_B",
            "<resource id=\"B_B::b\" title=\"Bbb\">\n<resource id=\"A_A::x\"><resource id=\"B_B::y\"/></resource></resource>",
        ),
    ]);

    let parent = |id: &str| {
        imported
            .resources
            .iter()
            .find(|one| one.id == id)
            .and_then(|one| one.parent.as_deref())
    };
    assert_eq!(parent("A_A::x"), Some("A_A::a"));
    assert_eq!(parent("B_B::y"), Some("A_A::x"));
    assert_eq!(
        noted(&imported, Weight::NotCarried),
        [
            "B_B/etc/acl.xml:3 A_A::x below B_B::b: it stands below A_A::a at A_A/etc/acl.xml:2, and stays there: an id has one parent"
        ]
    );
    checked(&imported, &options());
}

#[test]
fn everything_is_built_in_and_nobody_inherits_it() {
    let text = "<config><acl><resources><resource id=\"Magento_Backend::all\" title=\"Everything\">\n<resource \
                id=\"A_A::odd\" title=\"Odd\"/></resource></resources></acl></config>";

    let imported = imported(&[tests::file(Kind::Acl, "A_A", text)]);

    assert_eq!(tree(&imported), [("A_A::odd", None, "Odd", 0)]);
    assert_eq!(noted(&imported, Weight::Look).len(), 1);
}

#[test]
fn orders_that_the_configuration_does_not_take_keep_their_sequence() {
    let imported = imported(&[acl(
        "A_A",
        "<resource id=\"A_A::c\" sortOrder=\"9000000\"/><resource id=\"A_A::a\" sortOrder=\"-5\"/><resource id=\"A_A::b\" \
         sortOrder=\"7\"/><resource id=\"A_A::d\" sortOrder=\"much\"/>",
    )]);

    let order = |id: &str| imported.resources.iter().find(|one| one.id == id).map(|one| one.order);
    assert_eq!(
        ["A_A::a", "A_A::d", "A_A::b", "A_A::c"].map(order),
        [Some(10), Some(20), Some(30), Some(40)]
    );
    assert_eq!(
        noted(&imported, Weight::Look),
        ["A_A/etc/acl.xml:2 A_A::d sortOrder=\"much\": not a whole number"]
    );
    checked(&imported, &options());
}

#[test]
fn nodes_without_an_id_and_reserved_words_are_told() {
    let imported = imported(&[acl(
        "A_A",
        "<resource title=\"No id\"/>\n<resource id=\"self\" title=\"Self\"/>",
    )]);

    assert_eq!(
        noted(&imported, Weight::NotCarried),
        [
            "A_A/etc/acl.xml:2 <resource>: it has no id; what is below it isn't carried either",
            "A_A/etc/acl.xml:3 self: a route's word, not a resource's id",
        ]
    );
}

#[test]
fn a_resource_that_only_routes_name_becomes_a_root_that_no_grant_lists() {
    let route = |url: &str, id: &str| {
        format!("<route url=\"{url}\" method=\"GET\"><resources>\n<resource ref=\"{id}\"/></resources></route>")
    };
    let imported = imported(&[
        acl("A_A", "<resource id=\"A_A::off\" title=\"Off\" disabled=\"true\"/>"),
        webapi(
            "A_A",
            &[
                route("/V1/a", "A_A::off"),
                route("/V1/b", "A_A::off"),
                route("/V1/c", "No_Where::x"),
            ]
            .concat(),
        ),
    ]);

    let added: Vec<&super::Resource> = imported.resources.iter().filter(|one| !one.is_defined).collect();
    assert_eq!(
        added
            .iter()
            .map(|one| (one.id.as_str(), one.parent.is_none()))
            .collect::<Vec<_>>(),
        [("A_A::off", true), ("No_Where::x", true)]
    );
    let look = noted(&imported, Weight::Look);
    assert!(
        look[0].contains("A_A::off: no acl.xml defines it, or it is disabled: 2 routes"),
        "{look:?}"
    );
    assert!(
        look[1].contains("No_Where::x: no acl.xml defines it, or it is disabled: the route that names it opens"),
        "{look:?}"
    );
    checked(&imported, &options());
}

#[test]
fn an_id_that_the_storefront_would_not_take_is_told() {
    let imported = imported(&[acl(
        "A_A",
        "<resource id=\"bad id\" title=\"Bad\"/><resource id=\"A_A::\" title=\"Empty\"/><resource id=\"A_A::a_1\" title=\"Good\"/>",
    )]);

    let told = noted(&imported, Weight::Look);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.concat().contains("\"bad id\"") && told[0].contains("Vendor_Module::name"),
        "{told:?}"
    );
}
