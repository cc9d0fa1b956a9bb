"""The words of the bundled data in four languages. One line is one concept; the columns are en | de | es | zh.

The grammars say how words are combined. The order of the lines is part of the data set: a meaning refers to a word by
its number, and the random draws behind the committed files depend on it.
"""

from __future__ import annotations

from tools.bundled.data.entries import Adjective, Job, Name, Opposites, Phrase, Thing, TransferVerb, Verb, rows

# German: gender, singular, and the oblique form of weak nouns.
JOBS = [
    Job.read(*row)
    for row in rows("""
teacher|f Lehrerin|f maestra|老师
doctor|m Arzt|m médico|医生
nurse|f Krankenschwester|f enfermera|护士
baker|m Bäcker|m panadero|面包师
lawyer|f Anwältin|f abogada|律师
student|m Student Studenten|m estudiante|学生
pilot|m Pilot Piloten|m piloto|飞行员
farmer|m Bauer Bauern|m granjero|农民
painter|f Malerin|f pintora|画家
singer|f Sängerin|f cantante|歌手
writer|m Schriftsteller|m escritor|作家
journalist|m Journalist Journalisten|m periodista|记者
soldier|m Soldat Soldaten|m soldado|士兵
policeman|m Polizist Polizisten|m policía|警察
judge|f Richterin|f jueza|法官
engineer|m Ingenieur|m ingeniero|工程师
cook|m Koch|m cocinero|厨师
waiter|m Kellner|m camarero|服务员
gardener|m Gärtner|m jardinero|园丁
mayor|f Bürgermeisterin|f alcaldesa|市长
king|m König|m rey|国王
queen|f Königin|f reina|王后
actor|m Schauspieler|m actor|演员
dancer|f Tänzerin|f bailarina|舞者
butcher|m Metzger|m carnicero|屠夫
tailor|m Schneider|m sastre|裁缝
scientist|f Wissenschaftlerin|f científica|科学家
professor|m Professor|m profesor|教授
driver|m Fahrer|m conductor|司机
secretary|f Sekretärin|f secretaria|秘书
neighbour|m Nachbar Nachbarn|m vecino|邻居
grandmother|f Großmutter|f abuela|奶奶
photographer|m Fotograf Fotografen|m fotógrafo|摄影师
musician|m Musiker|m músico|音乐家
dentist|f Zahnärztin|f dentista|牙医
architect|m Architekt Architekten|m arquitecto|建筑师
librarian|f Bibliothekarin|f bibliotecaria|图书管理员
president|m Präsident Präsidenten|m presidente|总统
translator|f Übersetzerin|f traductora|翻译
sailor|m Matrose Matrosen|m marinero|水手
""")
]

NAMES = [
    Name(*row)
    for row in rows("""
Anna|f|安娜
Peter|m|彼得
Maria|f|玛丽亚
Thomas|m|托马斯
Laura|f|劳拉
Martin|m|马丁
Sofia|f|索菲亚
David|m|大卫
Julia|f|朱莉娅
Oscar|m|奥斯卡
Clara|f|克拉拉
Hugo|m|雨果
Emma|f|艾玛
Daniel|m|丹尼尔
Nora|f|诺拉
Victor|m|维克多
""")
]

CITIES = [
    Phrase(*row)
    for row in rows("""
Berlin|Berlin|Berlín|柏林
Rome|Rom|Roma|罗马
Madrid|Madrid|Madrid|马德里
Paris|Paris|París|巴黎
London|London|Londres|伦敦
Vienna|Wien|Viena|维也纳
Munich|München|Múnich|慕尼黑
Beijing|Peking|Pekín|北京
Shanghai|Shanghai|Shanghái|上海
Tokyo|Tokio|Tokio|东京
Moscow|Moskau|Moscú|莫斯科
Lisbon|Lissabon|Lisboa|里斯本
Prague|Prag|Praga|布拉格
Warsaw|Warschau|Varsovia|华沙
Athens|Athen|Atenas|雅典
Geneva|Genf|Ginebra|日内瓦
Cologne|Köln|Colonia|科隆
Seville|Sevilla|Sevilla|塞维利亚
Milan|Mailand|Milán|米兰
Brussels|Brüssel|Bruselas|布鲁塞尔
Copenhagen|Kopenhagen|Copenhague|哥本哈根
Dublin|Dublin|Dublín|都柏林
Boston|Boston|Boston|波士顿
Toronto|Toronto|Toronto|多伦多
""")
]

# category | en singular,plural | de gender singular plural | es gender singular | zh measure-word noun.
# The last eight lines are the categories themselves, as words that entail less.
THINGS = [
    Thing.read(*row)
    for row in rows("""
animal|dog,dogs|m Hund Hunde|m perro|只 狗
animal|cat,cats|f Katze Katzen|m gato|只 猫
animal|horse,horses|n Pferd Pferde|m caballo|匹 马
animal|cow,cows|f Kuh Kühe|f vaca|头 牛
animal|pig,pigs|n Schwein Schweine|m cerdo|头 猪
animal|duck,ducks|f Ente Enten|m pato|只 鸭子
animal|rabbit,rabbits|n Kaninchen Kaninchen|m conejo|只 兔子
animal|goat,goats|f Ziege Ziegen|f cabra|只 山羊
fruit|apple,apples|m Apfel Äpfel|f manzana|个 苹果
fruit|pear,pears|f Birne Birnen|f pera|个 梨
fruit|lemon,lemons|f Zitrone Zitronen|m limón|个 柠檬
fruit|melon,melons|f Melone Melonen|m melón|个 甜瓜
vehicle|car,cars|n Auto Autos|m coche|辆 汽车
vehicle|bicycle,bicycles|n Fahrrad Fahrräder|f bicicleta|辆 自行车
vehicle|truck,trucks|m Lastwagen Lastwagen|m camión|辆 卡车
vehicle|motorcycle,motorcycles|n Motorrad Motorräder|f motocicleta|辆 摩托车
vehicle|bus,buses|m Bus Busse|m autobús|辆 公共汽车
instrument|guitar,guitars|f Gitarre Gitarren|f guitarra|把 吉他
instrument|violin,violins|f Geige Geigen|m violín|把 小提琴
instrument|trumpet,trumpets|f Trompete Trompeten|f trompeta|把 小号
instrument|flute,flutes|f Flöte Flöten|f flauta|支 笛子
instrument|drum,drums|f Trommel Trommeln|m tambor|面 鼓
furniture|chair,chairs|m Stuhl Stühle|f silla|把 椅子
furniture|table,tables|m Tisch Tische|f mesa|张 桌子
furniture|bed,beds|n Bett Betten|f cama|张 床
furniture|sofa,sofas|n Sofa Sofas|m sofá|张 沙发
furniture|wardrobe,wardrobes|m Schrank Schränke|m armario|个 衣柜
furniture|bench,benches|f Bank Bänke|m banco|张 长凳
garment|hat,hats|m Hut Hüte|m sombrero|顶 帽子
garment|coat,coats|m Mantel Mäntel|m abrigo|件 大衣
garment|shirt,shirts|n Hemd Hemden|f camisa|件 衬衫
garment|skirt,skirts|m Rock Röcke|f falda|条 裙子
garment|jacket,jackets|f Jacke Jacken|f chaqueta|件 夹克
garment|scarf,scarves|m Schal Schals|f bufanda|条 围巾
tool|hammer,hammers|m Hammer Hämmer|m martillo|把 锤子
tool|saw,saws|f Säge Sägen|f sierra|把 锯子
tool|knife,knives|n Messer Messer|m cuchillo|把 刀
tool|brush,brushes|m Pinsel Pinsel|m pincel|支 画笔
tool|ladder,ladders|f Leiter Leitern|f escalera|架 梯子
tool|spade,spades|m Spaten Spaten|f pala|把 铲子
container|box,boxes|f Kiste Kisten|f caja|个 箱子
container|bottle,bottles|f Flasche Flaschen|f botella|个 瓶子
container|basket,baskets|m Korb Körbe|f cesta|个 篮子
container|cup,cups|f Tasse Tassen|f taza|个 杯子
container|vase,vases|f Vase Vasen|m jarrón|个 花瓶
-|book,books|n Buch Bücher|m libro|本 书
-|letter,letters|m Brief Briefe|f carta|封 信
-|picture,pictures|n Bild Bilder|m cuadro|幅 画
-|lamp,lamps|f Lampe Lampen|f lámpara|盏 灯
-|clock,clocks|f Uhr Uhren|m reloj|个 钟
-|ring,rings|m Ring Ringe|m anillo|枚 戒指
-|key,keys|m Schlüssel Schlüssel|f llave|把 钥匙
-|carpet,carpets|m Teppich Teppiche|f alfombra|块 地毯
-|tent,tents|n Zelt Zelte|f carpa|顶 帐篷
-|umbrella,umbrellas|m Regenschirm Regenschirme|m paraguas|把 雨伞
-|flag,flags|f Fahne Fahnen|f bandera|面 旗
animal|animal,animals|n Tier Tiere|m animal|只 动物
fruit|fruit,fruits|f Frucht Früchte|f fruta|个 水果
vehicle|vehicle,vehicles|n Fahrzeug Fahrzeuge|m vehículo|辆 车
instrument|instrument,instruments|n Instrument Instrumente|m instrumento|件 乐器
furniture|piece of furniture,pieces of furniture|n Möbelstück Möbelstücke|m mueble|件 家具
garment|garment,garments|n Kleidungsstück Kleidungsstücke|f prenda|件 衣服
tool|tool,tools|n Werkzeug Werkzeuge|f herramienta|件 工具
container|container,containers|m Behälter Behälter|m recipiente|个 容器
""")
]
NUM_CATEGORIES = 8
NUM_KINDS = len(THINGS) - NUM_CATEGORIES
HYPERNYMS: dict[int, int] = {
    kind: NUM_KINDS + category
    for kind in range(NUM_KINDS)
    for category in range(NUM_CATEGORIES)
    if THINGS[kind].category == THINGS[NUM_KINDS + category].category
}

# Spanish: masculine, and the feminine if the rule -o, -a does not give it.
THING_ADJECTIVES = [
    Adjective.read(*row)
    for row in rows("""
red|rot|rojo|红色的
blue|blau|azul|蓝色的
green|grün|verde|绿色的
yellow|gelb|amarillo|黄色的
black|schwarz|negro|黑色的
white|weiß|blanco|白色的
brown|braun|marrón|棕色的
grey|grau|gris|灰色的
old|alt|viejo|旧的
new|neu|nuevo|新的
big|groß|grande|大的
small|klein|pequeño|小的
heavy|schwer|pesado|沉重的
expensive|teur|caro|昂贵的
""")
]
COLOURS = range(8)

PERSON_ADJECTIVES = [
    Adjective.read(*row)
    for row in rows("""
young|jung|joven|年轻的
old|alt|viejo|年老的
tall|groß|alto|高大的
famous|berühmt|famoso|著名的
rich|reich|rico|富有的
poor|arm|pobre|贫穷的
friendly|freundlich|amable|友好的
shy|schüchtern|tímido|害羞的
brave|mutig|valiente|勇敢的
tired|müd|cansado|疲倦的
clever|klug|inteligente|聪明的
Spanish|spanisch|español,española|西班牙
German|deutsch|alemán,alemana|德国
Italian|italienisch|italiano|意大利
French|französisch|francés,francesa|法国
Chinese|chinesisch|chino|中国
""")
]

# en base past participle | de past participle | es past participle-stem | zh; synonyms after a semicolon.
ACTIONS = [
    Verb.read(*row)
    for row in rows("""
praise praised praised;commend commended commended|lobte gelobt;würdigte gewürdigt|elogió elogiad;alabó alabad|表扬;称赞
visit visited visited|besuchte besucht|visitó visitad|拜访
greet greeted greeted;welcome welcomed welcomed|begrüßte begrüßt|saludó saludad|问候
criticise criticised criticised|kritisierte kritisiert;tadelte getadelt|criticó criticad;censuró censurad|批评
interview interviewed interviewed|interviewte interviewt;befragte befragt|entrevistó entrevistad|采访
examine examined examined|untersuchte untersucht|examinó examinad|检查
warn warned warned|warnte gewarnt|advirtió advertid|警告
support supported supported;back backed backed|unterstützte unterstützt|apoyó apoyad;respaldó respaldad|支持
rescue rescued rescued;save saved saved|rettete gerettet|rescató rescatad;salvó salvad|营救;解救
defend defended defended|verteidigte verteidigt|defendió defendid|捍卫
protect protected protected|beschützte beschützt|protegió protegid|保护
insult insulted insulted;offend offended offended|beleidigte beleidigt|insultó insultad;ofendió ofendid|侮辱;冒犯
hug hugged hugged;embrace embraced embraced|umarmte umarmt|abrazó abrazad|拥抱
hire hired hired;employ employed employed|engagierte engagiert|contrató contratad|雇用;聘请
photograph photographed photographed|fotografierte fotografiert|fotografió fotografiad|拍摄
arrest arrested arrested;detain detained detained|verhaftete verhaftet|arrestó arrestad;detuvo detenid|逮捕
accuse accused accused|beschuldigte beschuldigt|acusó acusad|指控
convince convinced convinced;persuade persuaded persuaded|überzeugte überzeugt;überredete überredet|\
convenció convencid;persuadió persuadid|说服
replace replaced replaced|ersetzte ersetzt|reemplazó reemplazad;sustituyó sustituid|取代;替换
deceive deceived deceived;trick tricked tricked|täuschte getäuscht|engañó engañad|欺骗
observe observed observed;watch watched watched|beobachtete beobachtet|observó observad|观察
""")
]

# The same without synonyms; then the converse, if there is one:
# en past | de past participle | es past preposition | zh.
TRANSFERS = [
    TransferVerb.read(*row)
    for row in rows("""
give gave given|gab gegeben|entregó entregad|送给|received|bekam bekommen|recibió de|收到
sell sold sold|verkaufte verkauft|vendió vendid|卖给|bought|kaufte gekauft|compró a|买
lend lent lent|lieh geliehen|prestó prestad|借给
send sent sent|schickte geschickt|envió enviad|寄给
show showed shown|zeigte gezeigt|mostró mostrad|展示给
bring brought brought|brachte gebracht|llevó llevad|带给
""")
]

# What people do with things.
DEEDS = [
    Verb.read(*row)
    for row in rows("""
buy bought bought;purchase purchased purchased|kaufte gekauft;erwarb erworben|compró comprad;adquirió adquirid|买;购买
sell sold sold|verkaufte verkauft|vendió vendid|卖
paint painted painted|malte gemalt|pintó pintad|画
find found found;discover discovered discovered|fand gefunden;entdeckte entdeckt|\
encontró encontrad;descubrió descubiert|找到;发现
steal stole stolen|stahl gestohlen|robó robad|偷
lose lost lost|verlor verloren|perdió perdid|丢
see saw seen|sah gesehen|vio vist|看见
repair repaired repaired;fix fixed fixed|reparierte repariert|reparó reparad;arregló arreglad|修理
order ordered ordered|bestellte bestellt|encargó encargad|订购
clean cleaned cleaned|putzte geputzt|limpió limpiad|清洗
hide hid hidden|versteckte versteckt|escondió escondid|藏
""")
]

THING_COMPARATIVES = [
    Opposites.read(*row)
    for row in rows("""
older,newer|älter,neuer|viejo,nuevo|旧,新
bigger,smaller|größer,kleiner|grande,pequeño|大,小
heavier,lighter|schwerer,leichter|pesado,ligero|重,轻
more expensive,cheaper|teurer,billiger|caro,barato|贵,便宜
longer,shorter|länger,kürzer|largo,corto|长,短
prettier,uglier|schöner,hässlicher|bonito,feo|漂亮,难看
""")
]

PERSON_COMPARATIVES = [
    Opposites.read(*row)
    for row in rows("""
taller,shorter|größer,kleiner|alto,bajo|高,矮
younger,older|jünger,älter|joven,viejo|年轻,年老
richer,poorer|reicher,ärmer|rico,pobre|富有,贫穷
stronger,weaker|stärker,schwächer|fuerte,débil|强壮,虚弱
""")
]
COMPARATIVES = THING_COMPARATIVES + PERSON_COMPARATIVES

POSITIONS = [
    Opposites.read(*row)
    for row in rows("""
to the left of,to the right of|links von,rechts von|a la izquierda de,a la derecha de|左边,右边
above,below|über,unter|encima de,debajo de|的上方,的下方
in front of,behind|vor,hinter|delante de,detrás de|前面,后面
""")
]

MEANS = [
    Phrase(*row)
    for row in rows("""
by train|mit dem Zug|en tren|坐火车
by car|mit dem Auto|en coche|开车
by bus|mit dem Bus|en autobús|坐公共汽车
by plane|mit dem Flugzeug|en avión|坐飞机
by ship|mit dem Schiff|en barco|坐船
by bicycle|mit dem Fahrrad|en bicicleta|骑自行车
""")
]

# Seven weekdays, twelve months, three days and weeks, then years: a date contradicts only others of its own group.
TIMES = [
    Phrase(*row)
    for row in rows("""
on Monday|am Montag|el lunes|周一
on Tuesday|am Dienstag|el martes|周二
on Wednesday|am Mittwoch|el miércoles|周三
on Thursday|am Donnerstag|el jueves|周四
on Friday|am Freitag|el viernes|周五
on Saturday|am Samstag|el sábado|周六
on Sunday|am Sonntag|el domingo|周日
in January|im Januar|en enero|一月
in February|im Februar|en febrero|二月
in March|im März|en marzo|三月
in April|im April|en abril|四月
in May|im Mai|en mayo|五月
in June|im Juni|en junio|六月
in July|im Juli|en julio|七月
in August|im August|en agosto|八月
in September|im September|en septiembre|九月
in October|im Oktober|en octubre|十月
in November|im November|en noviembre|十一月
in December|im Dezember|en diciembre|十二月
yesterday|gestern|ayer|昨天
last week|letzte Woche|la semana pasada|上周
this morning|heute Morgen|esta mañana|今天早上
""")
]
TIMES += [Phrase(f"in {year}", f"im Jahr {year}", f"en {year}", f"{year}年") for year in range(1952, 2024, 5)]
TIME_GROUPS = (range(0, 7), range(7, 19), range(19, 22), range(22, len(TIMES)))

NUMBERS = [
    Phrase(*row)
    for row in rows("""
two|zwei|dos|两
three|drei|tres|三
four|vier|cuatro|四
five|fünf|cinco|五
six|sechs|seis|六
seven|sieben|siete|七
eight|acht|ocho|八
nine|neun|nueve|九
ten|zehn|diez|十
twelve|zwölf|doce|十二
""")
]
NUM_WRITTEN = len(NUMBERS)
NUMBERS += [Phrase(*[str(number)] * 4) for number in (15, 20, 30, 40, 50, 60, 100)]
