<?php
// Writes natural_order.txt: queries, and the order into which PHP's strnatcmp brings their encoded names, as Magento up to
// 2.4.7 does (magento.md 2.6). Always the same.
//
//     php natural_order.php > natural_order.txt
mt_srand(5849);

function name(): string
{
    $pieces = ['a', 'b', 'A', '-', '.', '~', '_', '[', ']', '0', '0', '1', '2', '9', '10', '02', '100', 'é', ' '];
    $name = '';
    for ($count = mt_rand(1, 5); $count > 0; $count--) {
        $name .= $pieces[mt_rand(0, count($pieces) - 1)];
    }
    return $name;
}

echo "# Written by natural_order.php: a query, and its names as PHP's strnatcmp sorts them once encoded.\n";
for ($at = 1; $at <= 300; $at++) {
    $parameters = [];
    while (count($parameters) < 6) {
        $name = rawurlencode(name());
        $equal = fn ($other) => strnatcmp($name, (string) $other) === 0;
        // Names that compare as equal would stay in whichever order they came.
        if (!array_filter(array_keys($parameters), $equal)) {
            $parameters[$name] = true;
        }
    }
    $query = implode('&', array_keys($parameters));
    uksort($parameters, fn ($one, $other) => strnatcmp((string) $one, (string) $other));
    echo "\nid: PHP.$at\nquery: $query\nsorted: ", implode('&', array_keys($parameters)), "\n";
}
