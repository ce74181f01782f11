-- Short tales, written by a grammar: who, where, a wish, what stands in the way, who helps and why, and an end that
-- follows from all of it. Our own words; many millions of different tales.
local here = (...):match "^(.-)[^.]*$" -- "examples.support.", or "support." beside it
local grammar = require(here .. "grammar")
local gpt = require "gpt"

local END = "<|endoftext|>"

local TALE = "{opening} {wish/good} {trouble} {journey} {meeting} {kindness/need} {turn/block} {ending/good}"

local rules = {
  -- What is wished for: something to eat, to hear, to wear, or to see by.
  start = { { TALE, good = "food" }, { TALE, good = "music" }, { TALE, good = "clothes" }, { TALE, good = "light" } },

  -- Who, and how the words after agree.
  hero = {
    { "{girl}", they = "she", They = "She", them = "her", their = "her" },
    { "{boy}", they = "he", They = "He", them = "him", their = "his" },
  },
  girl = { "girl", "queen", "hen", "goose girl", "miller's daughter", "grandmother", "mermaid", "vixen",
    "shepherdess" },
  boy = { "boy", "king", "rooster", "tailor", "miller's son", "grandfather", "giant", "woodcutter", "fisherman" },
  name = {
    she = { "Anna", "Bella", "Clara", "Dora", "Elsa", "Flora", "Greta", "Hilda", "Ida", "Juno", "Kira", "Lotte", "Mina",
      "Nora", "Olga", "Petra" },
    he = { "Arno", "Bruno", "Carl", "David", "Emil", "Felix", "Gustav", "Hugo", "Ivan", "Jonas", "Karl", "Ludwig",
      "Max", "Niels", "Oskar", "Paul" },
  },
  nature = { "a small", "a clever", "a lonely", "a cheerful", "a shy", "a stubborn", "an old", "a curious", "a sleepy",
    "a brave", "a poor", "a proud" },
  home = { "by the sea", "in a tower", "under a hill", "at the edge of a forest", "in a house with a green door",
    "on an island", "behind the mill", "beside a frozen lake", "in a garden full of bees", "over a bakery" },
  opening = {
    "Once there was {nature} {hero} who lived {home}, and {their} name was {name/they}.",
    "Long ago, {home}, lived {nature} {hero} named {name/they}.",
    "This is the tale of {nature} {hero} called {name/they}, whose home was {home}.",
  },

  thing = {
    food = { "a golden pear", "a pot of honey", "a plum cake", "a loaf of white bread", "a bowl of cherry soup",
      "a blue apple" },
    music = { "a silver flute", "a little drum", "a harp of glass", "a wooden fiddle", "a copper bell",
      "a box that sang" },
    clothes = { "a red coat", "a pair of dancing shoes", "a hat with three feathers", "a cloak of wool",
      "a scarf as long as a river", "gloves of grey fur" },
    light = { "a lamp that never went out", "a jar of fireflies", "a piece of the moon", "a candle of green wax",
      "a lantern of stars", "a mirror full of sun" },
  },
  wish = {
    food = { "{name} was always hungry, and dreamed of {thing/good}.",
      "Soup was all {they} ever had, but {their} heart wanted {thing/good}." },
    music = { "It was too quiet there, and {name} longed for {thing/good}.",
      "All day {they} hummed to {their} own feet and wished for {thing/good}." },
    clothes = { "The winters were cold, and {name} needed {thing/good}.",
      "{They} looked at {their} torn sleeves and wished for {thing/good}." },
    light = { "The nights were dark, and {name} wanted {thing/good}.",
      "{They} was afraid of the night, so {they} wished for {thing/good}." },
  },

  -- What stands in the way; the turn of the tale removes it.
  trouble = {
    { "But such a thing was found only {place}, and a wide river ran before it.", block = "river" },
    { "But such a thing was found only {place}, behind a wall without a door.", block = "wall" },
    { "But such a thing was sold only {place}, and {name} had no money at all.", block = "price" },
    { "But such a thing was kept only {place}, and a dragon slept on top of it.", block = "sleep" },
  },
  place = { "in the city of bridges", "on the black mountain", "in the valley of echoes", "at the end of the long road",
    "in the kingdom of cats", "on the far shore", "under the old castle", "in the market of the moon" },

  journey = {
    "One {season} morning {they} put {food} in a bag and set out.",
    "{They} waited until {season} came, took {food}, and went off alone.",
    "So, on the first day of {season}, {name} left with nothing but {food}.",
  },
  season = { "spring", "summer", "autumn", "winter" },
  food = { "two turnips", "some dry cheese", "a boiled egg", "seven nuts", "half an onion", "a salted fish" },

  -- Whom one meets, what it needs, and how it is helped.
  meeting = {
    { "On the way {they} met {helper} {hurt}.", need = "hurt" },
    { "On the way {they} met {helper} {hungry}.", need = "hungry" },
    { "On the way {they} met {helper} {lost}.", need = "lost" },
  },
  helper = { "a heron", "a grey wolf", "a tortoise", "an owl", "a wild goat", "a bear", "a raven", "a white horse",
    "a hedgehog", "a snake" },
  hurt = { "with a thorn in its foot", "with a broken tooth", "caught in a net" },
  hungry = { "that had eaten nothing for a week", "whose belly growled like thunder", "too weak to stand" },
  lost = { "that could not find its way home", "looking for its children", "going round and round a tree" },
  kindness = {
    hurt = { "{name} knelt down and set it free of its pain.",
      "Very gently {name} helped, and the animal cried no more." },
    hungry = { "{name} gave it {food}, and it ate until nothing was left.",
      "At once {they} shared {food} with the animal." },
    lost = { "{name} walked beside it until it knew the way.",
      "{They} climbed a hill, looked around, and showed it the way." },
  },

  turn = {
    river = { "\"I will not forget that,\" it said, and carried {them} over the water.",
      "In return the animal showed {them} stones on which one could cross the river." },
    wall = { "\"I will not forget that,\" it said, and dug a hole under the wall.",
      "In return the animal told {them} of a secret way through the wall." },
    price = { "\"I will not forget that,\" it said, and gave {them} a coin it had found.",
      "In return the animal paid the merchant with a song." },
    sleep = { "\"I will not forget that,\" it said, and told the dragon such a joke that it rolled over.",
      "In return the animal lulled the dragon into a deeper sleep and pulled its tail aside." },
  },

  ending = {
    food = { "There it was: {thing}! They ate it together, and {name} was never hungry again.",
      "So {name} got {thing}, and even the crumbs tasted of {season}." },
    music = { "There it was: {thing}! They danced all the way back, and it was never quiet again.",
      "So {name} got {thing}, and whoever passed in {season} stopped to listen." },
    clothes = { "There it was: {thing}! It fitted well, and {name} was never cold again.",
      "So {name} got {thing}, and wore it in {season} and in all the others." },
    light = { "There it was: {thing}! It shone on the whole way back, and {name} was never afraid again.",
      "So {name} got {thing}, and from that {season} on the nights were short." },
  },
}

local tales = {}

local made = grammar.new(rules)

--- n tales, each followed by the mark for the end of text; the same seed, the same tales.
function tales.write(n, seed)
  local write, list = made:writer(seed), {}
  for i = 1, n do list[i] = write() .. END end
  return table.concat(list)
end

--- The entropy per token of a stream of tales, in nats: no model's mean loss can be lower, but by memorising or luck.
-- Also bits per tale, and the mean number of tokens of a tale, its end included: both exact.
function tales.floor(tokenizer)
  local bits, tokens = made:measure(function(text) return #tokenizer:encode(text) end)
  tokens = tokens + 1
  return bits * math.log(2) / tokens, bits, tokens
end

-- Rows of ids and targets, filled up to the longest; a target of -1 does not count.
local function pad(rows, filler)
  local ids, targets, longest = {}, {}, 0
  for _, row in ipairs(rows) do longest = math.max(longest, #row - 1) end
  for i, row in ipairs(rows) do
    ids[i], targets[i] = {}, {}
    for t = 1, longest do
      ids[i][t], targets[i][t] = t < #row and row[t] or filler, row[t + 1] or -1
    end
  end
  return gpt.tensor(ids), gpt.tensor(targets)
end

--- n whole tales for gpt.evaluate, each from its beginning to its end: over such, the loss can come down to the floor.
-- Windows cut anywhere begin amid a tale, where nobody can know what went before.
function tales.sequences(n, seed, tokenizer)
  local write, eos, rows = made:writer(seed), tokenizer.eos, {}
  for i = 1, n do
    rows[i] = tokenizer:encode(END .. write() .. END, { special = true })
  end
  local sequences = {}
  function sequences.batches()
    local at = 1
    return function()
      if at > n then return nil end
      at = at + 8
      return pad({ table.unpack(rows, at - 8, math.min(at - 1, n)) }, eos)
    end
  end
  return sequences
end

return tales
