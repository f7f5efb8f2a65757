import keras
import numpy as np
import pytest

from tf_lottery.compression import saliency
from tf_lottery.compression.prune_model import prune_model
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.conversion import mask_model, strip_masks
from tf_lottery.masking.kernels import masked_kernels
from tf_lottery.masking.layers import MaskedDense
from tf_lottery.masking.masks import BernoulliMask
from tf_lottery.masking.model_state import effective_weights, read_state
from tf_lottery.rules import budgets, criteria, n_of_m, sensitivity

layers = keras.layers
SIZES = {"conv": 3 * 3 * 1 * 8, "wide": 3 * 3 * 8 * 16, "output": 16 * 4}


def convnet(seed=0, **options):
    keras.utils.set_random_seed(seed)
    images = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(images)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(16, 3, activation="relu", name="wide")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(4, activation="softmax", name="output")(x)
    model = keras.Model(images, x)
    loss = "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"])
    return mask_model(model, verbose=False, **options)


def stripes(count, seed):
    """Noisy stripes in one of four directions."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    row, column = np.mgrid[:8, :8]
    places = np.stack([row, column, row + column, row - column])
    shift = rng.integers(0, 4, (count, 1, 1))
    on = (places[labels] + shift) % 4 < 2
    noise = rng.normal(0, 0.3, (count, 8, 8))
    return (on + noise)[..., None].astype("float32"), labels


def counts(model):
    return {
        path.removesuffix("/kernel"): int(keras.ops.sum(kernel.mask.value))
        for path, kernel in masked_kernels(model).items()
    }


def floor(fraction):
    return {n: s - int((1 - fraction) * s + 1e-6) for n, s in SIZES.items()}


@pytest.mark.parametrize("rounds", [1, 3])
def test_exact_counts_of_every_layer(rounds):
    model = convnet()
    before = effective_weights(model)
    found = prune_model(model, remaining=0.3, rounds=rounds)
    assert counts(model) == floor(0.3)
    total = sum(SIZES.values())
    assert found["all"] == sum(floor(0.3).values()) / total
    for (path, w), size in zip(before.items(), SIZES.values(), strict=True):
        now = effective_weights(model)[path]
        kept = now != 0
        assert found[path] == kept.sum() / size
        assert np.array_equal(now[kept], w[kept])
        assert abs(w[kept]).min() > abs(w[~kept]).max()


@pytest.mark.parametrize("rounds", [1, 5])
def test_exact_counts_of_all_together(rounds):
    model = convnet()
    prune_model(model, remaining=0.11, scope="global", rounds=rounds)
    total = sum(SIZES.values())
    assert sum(counts(model).values()) == total - int(0.89 * total + 1e-6)
    assert counts(model) != floor(0.11)


def test_fractions_by_layer():
    model = convnet()
    shapes = {p: w.shape for p, w in effective_weights(model).items()}
    budget = budgets.erdos_renyi_kernel(shapes, 0.2)
    found = prune_model(model, remaining=budget)
    for path, shape in shapes.items():
        size = np.prod(shape)
        assert 0 <= found[path] * size - budget[path] * size < 1
    [first, *_] = shapes
    found = prune_model(model, remaining={first: 0.05})
    assert found[first] == 4 / 72
    assert counts(model)["wide"] == round(budget["wide/kernel"] * 1152 + 0.5)


def test_rates_of_the_masks():
    model = convnet(rates=[("conv", 0.5), ("output", None), (".", 0.25)])
    prune_model(model)
    assert counts(model) == {"conv": 36, "wide": 1152 * 3 // 4}
    prune_model(model, rounds=2)
    assert counts(model) == {"conv": 18, "wide": 1152 * 9 // 16}
    with pytest.raises(InvalidValue, match=r"masks with one rate.* 0\.\d+, 0"):
        prune_model(model, scope="global")
    layer = MaskedDense(10)  # a mask that nobody gave a rate
    prune_model(keras.Sequential([keras.Input((10,)), layer]))
    assert int(keras.ops.sum(layer.kernel_mask.value)) == 80


def test_what_was_pruned_stays_where_it_was():
    model = convnet()
    [first, *_] = masked_kernels(model).values()
    value = np.ones(first.variable.shape)
    value[0, 0] = 0
    first.mask.assign(value, np.full(value.shape, 7.0))
    prune_model(model, remaining=0.5)
    frozen = keras.ops.convert_to_numpy(first.effective)
    assert (frozen[0, 0] == 7).all()
    assert (frozen == 0).sum() == 72 - 36 - 8
    once = keras.ops.convert_to_numpy(first.mask.value)
    prune_model(model, criteria.small_final, remaining=0.2)
    twice = keras.ops.convert_to_numpy(first.mask.value)
    assert not (twice & ~once).any()
    state = read_state(model)
    found = prune_model(model, remaining=0.9)  # fewer are left already
    assert found["all"] == pytest.approx(0.2, abs=0.01)
    assert all(
        np.array_equal(state[p], a) for p, a in read_state(model).items()
    )


def test_two_of_four():
    model = convnet()
    rule = n_of_m.n_of_m(2, 4)
    for _ in range(2):  # the second time changes nothing
        found = prune_model(model, rule)
        assert counts(model) == {"conv": 72, "wide": 576, "output": 32}
    assert found["all"] == pytest.approx(680 / 1288)
    kept = [w != 0 for w in effective_weights(model).values()]
    assert (kept[1].reshape(3, 3, 2, 4, 16).sum(axis=3) == 2).all()
    with pytest.raises(InvalidValue, match="no `remaining` for a criterion"):
        prune_model(model, rule, remaining=0.1)
    assert counts(model) == {"conv": 72, "wide": 576, "output": 32}


def test_whole_channels():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(10, 3),
            layers.DepthwiseConv2D(3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    mask_model(model, verbose=False)
    found = prune_model(model, remaining=0.5, scope="channel", rounds=2)
    # Depthwise channels are the layer's before, the last ones the model's.
    assert list(found.values())[:3] == [0.5, 1, 1]
    kept = effective_weights(model)
    first = next(iter(kept.values()))
    assert (first != 0).any(axis=(0, 1, 2)).sum() == 5


def test_ties_are_of_the_seed():
    masks = []
    for seed in (0, 0, 1):
        model = convnet()
        prune_model(model, criteria.random, remaining=0.5, seed=seed)
        masks.append(next(iter(effective_weights(model).values())) != 0)
    assert np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], masks[2])


def test_synflow_in_100_rounds_leaves_a_way_through_every_layer():
    # In one round of the same scores, the wide layer in the middle loses all
    # but one weight at each side.
    def network():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((20,)),
                *[layers.Dense(u, activation="relu") for u in (10, 300, 10)],
                layers.Dense(4),
            ]
        )
        return mask_model(model, verbose=False)

    one, iterated = network(), network()
    for model, rounds in ((one, 1), (iterated, 100)):
        found = prune_model(
            model,
            sensitivity.synflow,
            remaining=0.01,
            scope="global",
            rounds=rounds,
        )
        assert found["all"] == pytest.approx(0.01, abs=2e-4)
    assert min((w != 0).sum() for w in effective_weights(one).values()) == 1
    ways = np.eye(20)
    for w in effective_weights(iterated).values():
        assert (w != 0).sum() > 5
        ways = ways @ (w != 0)
    assert ways.sum() > 0


def keep_what_grasp_removes(w_init, hessian_gradient):
    return -sensitivity.grasp(w_init, hessian_gradient)


def test_grasp_keeps_the_gradient():
    x, y = stripes(64, seed=1)
    norms = []
    for criterion in (
        sensitivity.grasp,
        sensitivity.snip,
        keep_what_grasp_removes,
    ):
        model = convnet()
        prune_model(model, criterion, remaining=0.7, scope="global", x=x, y=y)
        gradients = saliency.gradient(model, x, y).values()
        norms.append(sum((g**2).sum() for g in gradients))
    assert norms[0] > 1.5 * norms[1] > 1.5 * norms[2], norms


def pruned_by(name, model, batch):
    x, y = batch
    if name == "erk":
        shapes = {p: w.shape for p, w in effective_weights(model).items()}
        budget = budgets.erdos_renyi_kernel(shapes, 0.2)
        return prune_model(model, criteria.random, remaining=budget)
    rounds = 100 if name == "synflow" else 1
    return prune_model(
        model,
        getattr(sensitivity, name),
        remaining=0.2,
        scope="global",
        rounds=rounds,
        x=x,
        y=y,
    )


@pytest.mark.parametrize("name", ["snip", "grasp", "synflow", "erk"])
def test_networks_that_are_pruned_at_first_learn(name):
    model = convnet()
    found = pruned_by(name, model, stripes(64, seed=1))
    assert found["all"] == pytest.approx(0.2, abs=0.003)
    pruned = {p: w == 0 for p, w in effective_weights(model).items()}
    x, y = stripes(512, seed=2)
    model.optimizer.learning_rate = 0.02
    model.fit(x, y, batch_size=32, epochs=4, verbose=0)
    _, accuracy = model.evaluate(*stripes(256, seed=3), verbose=0)
    assert accuracy > 0.5  # of four kinds
    for path, w in effective_weights(model).items():
        assert (w[pruned[path]] == 0).all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"remaining": 0}, r"in \(0, 1\], received 0"),
        ({"remaining": 1.5}, r"in \(0, 1\], received 1.5"),
        ({"remaining": "half"}, "finite number, received 'half'"),
        ({"remaining": {"conv/kernel": 0}}, "of conv/kernel"),
        (
            {"remaining": {"fc/kernel": 0.5}},
            "conv/kernel.*received 'fc/kernel'",
        ),
        ({"remaining": {}, "scope": "global"}, "one fraction for the scope"),
        ({"scope": "rows"}, "scope to be one of layer, global"),
        ({"rounds": 0}, "rounds"),
        ({"criterion": "snip"}, "criterion to be a function"),
        ({"criterion": sensitivity.snip, "x": 1}, "of the gradient.* no y"),
        ({"criterion": sensitivity.grasp}, "hessian_gradient.* no x and no y"),
        ({"remaining": {"conv/kernel": 1e-9}}, "at least one weight"),
    ],
)
def test_what_does_not_go_together(arguments, message):
    model = convnet()
    with pytest.raises(InvalidValue, match=message):
        prune_model(model, **arguments)


def test_a_loss_that_is_not_there():
    model = convnet()
    model.compiled = False
    with pytest.raises(InvalidValue, match="expected a loss"):
        prune_model(model, sensitivity.snip, x=np.ones((1, 8, 8, 1)), y=[0])


def test_an_error_in_a_later_round_leaves_the_masks():
    model, calls = convnet(), []

    def breaks(w_final):
        calls.append(w_final)
        if len(calls) > len(SIZES):
            raise ZeroDivisionError
        return abs(w_final)

    with pytest.raises(ZeroDivisionError):
        prune_model(model, breaks, remaining=0.1, rounds=3)
    assert counts(model) == SIZES


def test_models_without_masks_or_with_learned_ones():
    plain = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(InvalidValue, match="mask_model"):
        prune_model(plain)
    mask_model(plain, kernel_mask=BernoulliMask, verbose=False)
    with pytest.raises(InvalidValue, match=r"fixed masks.*BernoulliMask"):
        prune_model(plain)


def test_penalties_do_not_see_what_is_pruned():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(9, kernel_regularizer="l2"),
        ]
    )
    mask_model(model, verbose=False)
    prune_model(model, remaining=0.2)
    pruned = float(sum(model.losses))
    strip_masks(model)
    assert pruned == pytest.approx(float(sum(model.losses)))
