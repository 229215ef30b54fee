// A small set that covers what people send most, with the words by which they look for it.

export const QUICK_REACTIONS = ['👍', '❤️', '😂', '😮', '😢', '🙏'];

export type EmojiGroup = 'smileys' | 'gestures' | 'hearts' | 'nature' | 'food' | 'things' | 'signs';

const source: Record<EmojiGroup, string> = {
  smileys:
    '😀 grin smile|😃 smile happy|😄 laugh happy|😁 beam grin|😆 laugh|😅 sweat relief|🤣 rolling laugh|😂 tears joy laugh|🙂 slight smile|🙃 upside down|😉 wink|😊 blush smile|😇 angel halo|🥰 love hearts|😍 heart eyes love|🤩 star struck wow|😘 kiss|😋 yum tasty|😛 tongue|😜 wink tongue crazy|🤪 zany crazy|🤗 hug|🤭 giggle oops|🤫 quiet secret|🤔 think hmm|🤨 doubt eyebrow|😐 neutral|😶 silent|😏 smirk|🙄 eye roll|😬 grimace awkward|😌 relieved calm|😔 sad pensive|😪 sleepy|😴 sleep tired|😷 mask ill|🤒 ill fever|🤕 hurt|🤧 sneeze cold|🥵 hot|🥶 cold freezing|🥴 woozy|🤯 mind blown|🥳 party celebrate|😎 cool sunglasses|🤓 nerd|😕 confused|😟 worried|🙁 frown|😮 wow surprised|😲 astonished|🥺 please plead|😨 afraid|😰 anxious|😥 sad relieved|😢 cry sad|😭 sob cry|😱 scream|😖 upset|😞 disappointed|😩 weary|😤 proud huff|😡 angry|🤬 swear angry|💀 skull dead|💩 poo|🤡 clown|👻 ghost|🤖 robot',
  gestures:
    '👍 thumbs up yes good|👎 thumbs down no bad|👌 ok perfect|✌️ peace victory|🤞 luck fingers crossed|🤟 love you|🤘 rock|👈 left point|👉 right point|👆 up point|👇 down point|👋 wave hello bye|🤚 stop hand|✋ high five stop|👏 clap bravo|🙌 hooray hands|🤝 handshake deal|🙏 thanks please pray|💪 strong muscle|✍️ write|🤷 shrug|🤦 facepalm|🙋 raise hand|🙇 bow sorry|👀 eyes look|🧠 brain|🏃 run|🚶 walk|💃 dance|🕺 dance',
  hearts:
    '❤️ heart love red|🧡 heart orange|💛 heart yellow|💚 heart green|💙 heart blue|💜 heart purple|🖤 heart black|🤍 heart white|💔 broken heart|❣️ heart exclamation|💕 hearts|💖 sparkling heart|💘 heart arrow|💯 hundred perfect|✨ sparkles|⭐ star|🌟 star glow|🔥 fire hot|🎉 party tada celebrate|🎊 confetti|🎈 balloon birthday|🎁 gift present|🏆 trophy win|🥇 gold first',
  nature:
    '🐶 dog|🐱 cat|🐭 mouse|🐰 rabbit|🦊 fox|🐻 bear|🐼 panda|🐸 frog|🐵 monkey|🐔 chicken|🐧 penguin|🐦 bird|🦉 owl|🐢 turtle|🐝 bee|🦋 butterfly|🐌 snail|🐟 fish|🐬 dolphin|🐳 whale|🌸 blossom flower|🌹 rose|🌻 sunflower|🌳 tree|🌲 fir tree|🌵 cactus|🍀 luck clover|🍁 leaf autumn|🌍 earth world|🌙 moon|☀️ sun|⛅ cloud sun|🌧️ rain|⛈️ storm|❄️ snow|🌈 rainbow|🌊 wave sea',
  food: '🍎 apple|🍌 banana|🍓 strawberry|🍇 grapes|🍉 melon|🍋 lemon|🥑 avocado|🍅 tomato|🥕 carrot|🍞 bread|🥐 croissant|🧀 cheese|🥚 egg|🍳 breakfast egg|🥞 pancakes|🍔 burger|🍟 fries|🍕 pizza|🌮 taco|🥗 salad|🍝 pasta|🍜 noodles soup|🍣 sushi|🍦 ice cream|🍰 cake|🎂 birthday cake|🍫 chocolate|🍪 cookie|☕ coffee|🍵 tea|🍺 beer|🍻 cheers beer|🥂 cheers|🍷 wine',
  things:
    '📱 phone|💻 laptop computer|⌨️ keyboard|📷 camera|🎥 film|🎧 headphones music|🎵 music note|🎸 guitar|🎮 game|🎲 dice game|⚽ football|🏀 basketball|🎾 tennis|🚲 bicycle bike|🚗 car|🚌 bus|🚆 train|✈️ plane flight|🚀 rocket|⛵ boat|🏠 house home|🏢 office|🏖️ beach holiday|⛰️ mountain|🏕️ camping tent|⏰ alarm clock time|📅 calendar date|📌 pin|📎 clip|✏️ pencil|📖 book|💡 idea light|🔑 key|🔒 lock|🔨 hammer tool|💰 money|💊 pill|🧳 suitcase travel|☂️ umbrella',
  signs:
    '✅ done check yes|☑️ check|❌ no cross|❗ exclamation|❓ question|⚠️ warning|🚫 forbidden no|💤 sleep|💬 speech message|💭 thought|🔔 bell|🔕 mute bell|➕ plus|➖ minus|➡️ arrow right|⬅️ arrow left|⬆️ arrow up|⬇️ arrow down|🔄 repeat|🆗 ok|🆕 new|🔴 red|🟢 green|🟡 yellow|🔵 blue|⚪ white|⚫ black|🏁 finish flag',
};

export interface EmojiEntry {
  emoji: string;
  names: string;
}

export const emojiGroups: [EmojiGroup, EmojiEntry[]][] = Object.entries(source).map(([group, list]) => [
  group as EmojiGroup,
  list.split('|').map((entry) => {
    const space = entry.indexOf(' ');
    return { emoji: entry.slice(0, space), names: entry.slice(space + 1) };
  }),
]);

/** All entries of which every wanted word is the start of one of the names. */
export function findEmoji(query: string): EmojiEntry[] {
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  return emojiGroups
    .flatMap(([, entries]) => entries)
    .filter(({ names }) => wanted.every((word) => names.split(' ').some((name) => name.startsWith(word))));
}
