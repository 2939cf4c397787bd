/* common_password: what everybody tries first; a built-in table, sorted, all in lower case.
 *
 * Names, teams, keyboards and classics. Endings ("2024!") and spellings ("p4ssw0rd") are undone before it is
 * asked. */
#include "auth/auth_internal.h"

/* clang-format off */
static const char *const common[] = {
    "00000000", "01234567", "0123456789", "0987654321", "10203040", "11111111", "11223344", "123123123",
    "12341234", "12344321", "12345678", "123456789", "1234567890", "123456789a", "123456a", "1234qwer",
    "123654789", "123qwe", "123qweasd", "12qwaszx", "147258369", "147852369", "159753", "19991999",
    "1q2w3e4r", "1q2w3e4r5t", "1qaz2wsx", "1qazxsw2", "20002000", "27182818", "31415926", "66666666",
    "741852963", "789456123", "87654321", "88888888", "987654321", "a1b2c3d4", "aa123456", "abc123",
    "abcd1234", "access", "achilles", "admin", "adminadmin", "administrator", "agent007", "aladdin",
    "alexander", "alexandra", "alice", "alice123", "amanda", "america", "amigos", "amor", "andrew",
    "android", "angel", "angelina", "angels", "anthony", "apollo", "apple", "apples", "aragorn", "arizona",
    "arsenal", "arthur", "asdasd", "asdasdasd", "asdf", "asdf1234", "asdfasdf", "asdfgh", "asdfghjk",
    "asdfghjkl", "asdfjkl", "ashley", "asshole", "athena", "august", "austin", "australia", "autumn",
    "avatar", "avengers", "azerty", "azertyuiop", "babyboy", "babygirl", "badass", "bailey", "bambi",
    "banana", "bandit", "barcelona", "baseball", "basketball", "bastard", "batman", "beatles", "beautiful",
    "bella", "benjamin", "berlin", "beyonce", "billionaire", "bitch", "biteme", "blackjack", "blessed",
    "blessing", "blizzard", "blowme", "bond007", "bonjour", "bonnie", "boston", "brandon", "brandy",
    "brasil", "broncos", "brooklyn", "brownie", "buddy", "bullshit", "business", "buster", "butterfly",
    "california", "callofduty", "camaro", "camelot", "cameron", "canada", "captain", "captainamerica",
    "caroline", "casablanca", "cash", "casino", "casper", "catherine", "celtics", "change", "changeme",
    "charizard", "charles", "charlie", "charlotte", "cheese", "chelsea", "chester", "chevrolet", "chevy",
    "chewbacca", "chicago", "china", "chocolate", "christian", "christina", "christine", "christopher",
    "ciao", "cinderella", "claudia", "coffee", "company", "computer", "computer1", "cookie", "cookies",
    "correcthorse", "correcthorsebatterystaple", "corvette", "cosmos", "counterstrike", "cowboys",
    "crystal", "crystal1", "cupcake", "daisy", "dallas", "daniel", "danielle", "danielle1", "darthvader",
    "database", "deadpool", "deborah", "december", "default", "demo", "demon", "denver", "devil", "diablo",
    "diamond", "diamonds", "doggie", "dollar", "dollars", "dolphin", "dolphins", "dominic", "donald",
    "donaldduck", "dorothy", "douglas", "dragon", "dreamer", "dreaming", "dreams", "drummer", "dumbass",
    "dumbo", "eagles", "eduardo", "edward", "egypt", "elephant", "elizabeth", "elvis", "emerald", "emily",
    "eminem", "emmanuel", "england", "enter", "enterprise", "entrance", "eric", "espana", "estrella",
    "eugene", "evelyn", "example", "excalibur", "facebook", "falcons", "fantasy", "february", "fernando",
    "ferrari", "florida", "flower", "flowers", "football", "forever", "fortnite", "france", "francesca",
    "francis", "francisco", "frederick", "freedom", "friday", "frodo", "fuckoff", "fuckyou", "gabriel",
    "gabriela", "galaxy", "gameboy", "gandalf", "gandalf1", "garfield", "george", "germany", "ghost",
    "giants", "ginger", "giraffe", "gizmo", "gladiator", "godisgood", "goku", "golden", "goodbye", "goofy",
    "google", "gorgeous", "gregory", "gryffindor", "guest", "guillermo", "guinevere", "guitar", "guitars",
    "hallo", "halo", "hamster", "handsome", "hannah", "hansolo", "hardcore", "harley", "harrypotter",
    "heather", "heaven", "hell", "hello", "hello123", "hellohello", "hellokitty", "helloworld", "hercules",
    "hockey", "hogwarts", "hola", "honda", "honey", "honeybee", "houston", "hunter", "hunter2", "hurricane",
    "iamgod", "ilovey0u", "iloveyou", "inception", "india", "instagram", "internet", "internet1", "iphone",
    "ireland", "ironman", "isabella", "israel", "italia", "jackpot", "jackson", "jacqueline", "jamesbond",
    "january", "japan", "jasmin", "jasmine", "jeffrey", "jennifer", "jeremy", "jessica", "jesus", "jesus1",
    "jesuschrist", "jonathan", "jordan", "joseph", "joshua", "juliana", "jupiter", "justin", "juventus",
    "karate", "katherine", "kawasaki", "kenneth", "killer", "kimberly", "kissme", "kitten", "kitty",
    "korea", "kungfu", "lakers", "lancelot", "lauren", "lawrence", "legend", "legolas", "leonardo",
    "letmein", "letmein1", "letmein123", "lightning", "linkedin", "lions", "liverpool", "lkjhgfdsa",
    "login", "lollipop", "london", "lordoftherings", "lorenzo", "love", "lovelove", "lovely", "loveme",
    "lover", "loveyou", "lucifer", "lucky", "lucky1", "lucky7", "luckyone", "lucy", "luigi", "madison",
    "madonna", "maggie", "magic", "magician", "manchester", "manhattan", "marcus", "margaret", "maria",
    "marina", "mario", "mariposa", "marshmallow", "martin", "martinez", "marvel", "master", "matrix",
    "matthew", "max", "maximus", "melanie", "melissa", "mercedes", "mercedes1", "mercury", "merlin",
    "metallica", "mexico", "michael", "michelle", "mickey", "mickeymouse", "microsoft", "midnight",
    "miguel", "millenniumfalcon", "millionaire", "minecraft", "minnie", "mnbvcxz", "mohamed", "molly",
    "monday", "money", "moneymoney", "monica", "monkey", "monster", "moonlight", "moscow", "muffin",
    "mulan", "music", "musical", "mustang", "mypass", "mypassword", "mysql", "mystery", "mystical",
    "namaste", "naruto", "nathan", "nathaniel", "ncc1701", "ncc1701d", "nemo", "neptune", "newpassword",
    "newyork", "nicholas", "nicole", "ninja", "nintendo", "nirvana", "nissan", "nopassword", "nothing",
    "november", "october", "office", "oliver", "olivia", "open", "opensesame", "oracle", "orange", "oreo",
    "oscar", "packers", "pacman", "pamela", "panthers", "paris", "pass", "passcode", "passpass",
    "passphrase", "passport", "passw0rd", "password", "password0", "password1", "password12", "password123",
    "patricia", "patrick", "patriots", "peanut", "penguin", "penthouse", "pepper", "pepper1", "phoenix",
    "pikachu", "pineapple", "pinocchio", "platinum", "playboy", "playstation", "pluto", "pocahontas",
    "poiuytrewq", "pokemon", "poker", "porsche", "postgres", "presley", "princesa", "princess", "private",
    "public", "pumpkin", "puppies", "puppy", "pussy", "q1w2e3r4", "q1w2e3r4t5", "qazwsx", "qazwsxedc",
    "qweasd", "qweasdzxc", "qweqwe", "qwer1234", "qwert", "qwerty", "qwerty1", "qwerty12", "qwerty123",
    "qwerty1234", "qwerty12345", "qwertyui", "qwertyuiop", "qwertz", "qwertzuiop", "rabbit", "rachel",
    "raiders", "rainbow", "ranger", "raymond", "realmadrid", "rebecca", "redsox", "ricardo", "richard",
    "rihanna", "robert", "roberto", "roblox", "rocknroll", "rockstar", "rocky", "rodriguez", "ronald",
    "root", "rosebud", "rosemary", "russell", "russia", "sadie", "safety", "samantha", "sample", "samsung",
    "samurai", "sandra", "santiago", "sapphire", "sasuke", "satan", "saturn", "scooby", "scoobydoo",
    "scotland", "screwyou", "sebastian", "secret", "secret1", "secret123", "secure", "security",
    "september", "server", "service", "sesame", "sexy", "sexybitch", "shadow", "shadow1", "sharon",
    "shithead", "silver", "simba", "simba1", "skeleton", "skywalker", "slipknot", "slytherin", "smokey",
    "snoopy", "snowball", "snowflake", "snowman", "snowwhite", "soccer", "sonic", "sophie", "spartacus",
    "spartan", "spiderman", "spock", "spring", "starcraft", "starlight", "startrek", "starwars", "steelers",
    "stephanie", "stephen", "steven", "steven1", "strawberry", "summer", "sunflower", "sunrise", "sunset",
    "sunshine", "superman", "superstar", "support", "suzuki", "sweetheart", "sweetie", "taylor", "teamo",
    "teddybear", "temp", "temporary", "temppass", "tequiero", "tequila", "test", "test123", "test1234",
    "testing", "testtest", "tetris", "texas", "thepassword", "theresa", "thomas", "thor", "thunder",
    "thx1138", "tiffany", "tigers", "tigger", "timothy", "tinkerbell", "titanic", "titanium", "together",
    "tokyo", "toor", "tornado", "toyota", "trustno1", "tsunami", "turtle", "twitter", "unicorn", "universe",
    "user", "valentina", "valentine", "vampire", "vanessa", "vegeta", "venus", "veronica", "victor",
    "victoria", "vincent", "virginia", "vladimir", "volcano", "walter", "warcraft", "warrior", "welcome",
    "welcome1", "wendy", "werewolf", "whatever", "whiskey", "william", "windows", "winter", "wizard",
    "wizards", "wolverine", "wonderland", "word", "worldofwarcraft", "xbox", "yamaha", "yankees", "yoda",
    "yourpassword", "zachary", "zaq12wsx", "zelda", "zeus", "zombie", "zxcvbn", "zxcvbnm", "zxcvbnm1",
    "zxcvbnm123", "zxczxc",
};
/* clang-format on */
enum { COUNT = sizeof common / sizeof common[0] };

bool auth__password_is_common(tims_str lowered)
{
    size_t from = 0, to = COUNT;
    while (from < to) {
        size_t middle = (from + to) / 2;
        int order = tims_str_compare(lowered, tims_str_from(common[middle]));
        if (order == 0)
            return true;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return false;
}
