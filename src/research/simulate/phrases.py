"""Names and written feedback of the generated customers, by language and tone, and hostile text."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from research.simulate.company import SAME_TONE
from research.simulate.draws import Columns, Draws

TONES = ("negative", "neutral", "positive")
PHRASES = {  # by language, then in the order of TONES
    "English": (
        """Nobody answers my messages.|It still does not work.|I expected much more for this money.
        |Far too slow lately.|Too expensive for what I use.|Support took days and solved nothing.
        |The parcel arrived damaged.|I am tired of repeating my problem.
        |The last update broke everything.|They raised the price without a word.
        |Waste of money, honestly.|I keep losing my work.|The courier never showed up.
        |Not what was promised.""",
        """It is fine.|Does what it should, no more.|Some things could be easier.
        |I use it now and then.|No strong opinion.|Average, like the others.
        |Changed my address last week.|I have the basic plan.|The invoice came by mail.
        |Okay for the price, I suppose.|I only need two of the functions.
        |My colleague set it up for me.|We will see next month.
        |Delivery took the usual four days.""",
        """Great, thank you!|I use it every day and love it.|Would recommend it to anyone.
        |Support solved it within an hour.|Easy to set up.|Works well for me.|Worth every cent.
        |The templates save me a lot of time.|Fast delivery, nicely packed.
        |Friendly people on the phone.|The new version is a real improvement.|Never had a problem.
        |Not bad at all, really impressed.|My whole team is happy with it.""",
    ),
    "Polish": (
        """Nikt nie odpowiada na moje wiadomości.|Nadal nie działa.
        |Za te pieniądze spodziewałem się więcej.|Ostatnio strasznie wolno.
        |Za drogo jak na to, ile używam.|Pomoc techniczna nic nie rozwiązała.
        |Paczka przyszła uszkodzona.|Mam dość powtarzania tego samego.
        |Aktualizacja wszystko zepsuła.|Podnieśli cenę bez uprzedzenia.|Szkoda pieniędzy.
        |Ciągle tracę swoją pracę.|Kurier w ogóle nie przyjechał.|To nie jest to, co obiecano.""",
        """Może być.|Robi to, co powinno, nic więcej.|Niektóre rzeczy mogłyby być prostsze.
        |Korzystam od czasu do czasu.|Nie mam zdania.|Przeciętnie, jak u innych.
        |W zeszłym tygodniu zmieniłam adres.|Mam plan podstawowy.|Faktura przyszła pocztą.
        |Cena do przyjęcia.|Potrzebuję tylko dwóch funkcji.|Kolega mi to ustawił.
        |Zobaczymy za miesiąc.|Dostawa trwała zwykłe cztery dni.""",
        """Świetnie, dziękuję!|Używam codziennie i bardzo lubię.|Polecam każdemu.
        |Obsługa pomogła w godzinę.|Łatwo się konfiguruje.|U mnie działa bardzo dobrze.
        |Warte każdej złotówki.|Szablony oszczędzają mi mnóstwo czasu.
        |Szybka dostawa, ładnie zapakowane.|Mili ludzie przy telefonie.
        |Nowa wersja to prawdziwy postęp.|Nigdy nie było problemu.
        |Wcale nie jest źle, jestem pod wrażeniem.|Cały zespół jest zadowolony.""",
    ),
    "Russian": (
        """Никто не отвечает на сообщения.|До сих пор не работает.|За такие деньги ожидал большего.
        |В последнее время очень медленно.|Слишком дорого для меня.
        |Поддержка тянула несколько дней и не помогла.|Посылка пришла повреждённой.
        |Надоело повторять одно и то же.|После обновления всё сломалось.
        |Подняли цену без предупреждения.|Пустая трата денег.|Постоянно теряю свою работу.
        |Курьер так и не приехал.|Обещали совсем другое.""",
        """Нормально.|Делает что должно, не более.|Кое-что могло бы быть проще.
        |Пользуюсь время от времени.|Особого мнения нет.|Средне, как у всех.
        |На прошлой неделе сменил адрес.|У меня базовый тариф.|Счёт пришёл по почте.
        |Для такой цены сойдёт.|Мне нужны только две функции.|Настроил коллега.
        |Посмотрим через месяц.|Доставка заняла обычные четыре дня.""",
        """Отлично, спасибо!|Пользуюсь каждый день, очень нравится.|Рекомендую всем.
        |Поддержка помогла за час.|Легко настроить.|У меня всё работает хорошо.|Стоит своих денег.
        |Шаблоны экономят массу времени.|Быстрая доставка, хорошо упаковано.|Вежливые люди на линии.
        |Новая версия заметно лучше.|Ни разу не было проблем.|Совсем неплохо, я впечатлён.
        |Вся команда довольна.""",
    ),
    "Korean": (
        """아무도 답장을 안 해요.|아직도 작동하지 않습니다.|이 가격에 더 기대했어요.
        |요즘 너무 느려요.|쓰는 것에 비해 너무 비쌉니다.|고객센터가 며칠 걸려도 해결 못 했어요.
        |택배가 파손되어 왔어요.|같은 말을 반복하는 데 지쳤습니다.|업데이트 후에 다 망가졌어요.
        |말도 없이 가격을 올렸네요.|돈이 아깝습니다.|작업이 자꾸 사라져요.
        |배송 기사가 오지 않았어요.|약속과 다릅니다.""",
        """그냥 괜찮아요.|할 건 하지만 그 이상은 아니에요.|몇 가지는 더 쉬웠으면 합니다.
        |가끔 사용합니다.|별 의견 없습니다.|다른 곳과 비슷해요.|지난주에 주소를 바꿨어요.
        |기본 요금제를 씁니다.|청구서는 우편으로 왔어요.|가격만큼은 해요.|두 가지 기능만 필요합니다.
        |동료가 설정해 줬어요.|다음 달에 보죠.|배송은 평소처럼 나흘 걸렸어요.""",
        """정말 좋아요, 감사합니다!|매일 쓰는데 마음에 들어요.|누구에게나 추천합니다.
        |한 시간 만에 해결해 줬어요.|설정이 쉬워요.|저한테 잘 맞아요.|돈이 아깝지 않아요.
        |템플릿 덕분에 시간이 많이 절약돼요.|배송이 빠르고 포장도 깔끔해요.|상담원이 친절합니다.
        |새 버전이 훨씬 좋아졌어요.|문제가 한 번도 없었어요.|생각보다 훌륭하네요.
        |팀 전체가 만족합니다.""",
    ),
    "Chinese": (
        """没有人回复我的消息。|还是不能用。|这个价格我本来期待更多。|最近太慢了。|对我来说太贵了。
        |客服拖了好几天也没解决。|包裹到的时候坏了。|同样的问题说了很多遍，很烦。|更新以后全乱了。
        |没通知就涨价。|浪费钱。|我的工作总是丢失。|快递员一直没来。|和承诺的不一样。""",
        """还可以。|该有的都有，没有更多。|有些地方可以更简单。|偶尔用一下。|没什么意见。
        |一般，和别家差不多。|上周换了地址。|我用的是基础套餐。|发票是寄来的。|这个价格还行。
        |我只需要两个功能。|是同事帮我设置的。|下个月再看吧。|送货和平常一样花了四天。""",
        """非常好，谢谢！|每天都用，很喜欢。|推荐给大家。|客服一小时就解决了。|设置很简单。
        |对我来说很好用。|物有所值。|模板省了我很多时间。|送货快，包装也好。|电话里的人很热情。
        |新版本进步很大。|从来没出过问题。|真不错，比想象的好。|我们整个团队都很满意。""",
    ),
}
# by language: given names, family names; the family name stands first in Korean and Chinese
NAMES = {
    "English": (
        (
            "Alice Ben Carol Daniel Emma Frank Grace Henry Isla Jack Karen Liam Mia Noah Olivia"
            " Peter Ruth Sam Tessa Walter"
        ),
        (
            "Adams Baker Clark Davies Evans Foster Green Hughes Irving Jones Knight Lewis Moore"
            " Nash Owens Parker Reed Scott Turner Young O'Neill"
        ),
    ),
    "Polish": (
        (
            "Agnieszka Bartek Celina Damian Elżbieta Filip Grażyna Henryk Iwona Jakub Katarzyna"
            " Łukasz Małgorzata Norbert Ola Paweł Róża Szymon Wanda Żaneta"
        ),
        (
            "Nowak Wójcik Mazur Krawczyk Zając Król Wróbel Stępień Dudek Pawlak Sikora Baran Duda"
            " Szewczyk Pietrzak Wilk Kubiak Bąk Sobczak Czarnecka-Lis"
        ),
    ),
    "Russian": (
        (
            "Анна Борис Вера Глеб Дарья Егор Жанна Иван Ксения Лев Мария Никита Ольга Пётр Римма"
            " Сергей Татьяна Фёдор Юлия Ярослав"
        ),
        (
            "Шевченко Черных Коваленко Бондаренко Ткач Седых Мельник Лысенко Долгих Кравец Белых"
            " Руденко Савченко Гончар Малых Костенко Мороз Коваль Сухих Гайдар"
        ),
    ),
    "Korean": (
        (
            "민준 서연 도윤 하은 지호 수아 예준 지우 시우 서현 주원 민서 현우 채원 건우 다은 우진"
            " 소율 선우 유나"
        ),
        "김 이 박 최 정 강 조 윤 장 임 한 오 서 신 권 황 안 송 류 홍",
    ),
    "Chinese": (
        "伟 芳 娜 敏 静 丽 强 磊 军 洋 勇 艳 杰 娟 涛 明 超 秀兰 霞 平",
        "王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙 胡 朱 高 林 何 郭 马 罗",
    ),
}
HOSTILE = (  # the trap hostile_text; what shows it must escape it
    "<script>alert('churn')</script>",
    '<b onmouseover="alert(1)">bold</b> & <img src=x onerror=alert(1)>',
    '=HYPERLINK("http://example.invalid/?"&A1,"click")',
    "+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "\u202eevil txt\u202c \u200f\u200eabc",
    "'; DROP TABLE customers; --",
    "{{ 7 * 7 }} ${7*7} %s %n",
    "tab\there, line\nbreak, return\rhere",
    "so long " * 600,
)


def _split(text: str) -> list[str]:
    return [phrase.strip() for phrase in text.split("|")]


VARIETY = 14  # phrases in each language and tone
# position: (language * tones + tone) * VARIETY + phrase
_PIECES = [_split(text) for tones in PHRASES.values() for text in tones]
PIECES = pa.array([phrase for pieces in _PIECES for phrase in pieces] + list(HOSTILE))
_FULL = [
    [
        f"{family}{given}" if language in ("Korean", "Chinese") else f"{given} {family}"
        for given in names[0].split()
        for family in names[1].split()
    ]
    for language, names in NAMES.items()
]
FULL_NAMES = pa.array([name for names in _FULL for name in names] + list(HOSTILE))
_FIRST_NAME = np.cumsum([0, *(len(names) for names in _FULL)])


def draw_names(draws: Draws, language: np.ndarray) -> np.ndarray:
    """Return a position in ``FULL_NAMES`` for each customer, of the customer's own language."""
    size = np.diff(_FIRST_NAME)[language]
    return _FIRST_NAME[language] + (draws("name").random(len(language)) * size).astype(np.int64)


def draw_text(draws: Draws, tone: np.ndarray, language: np.ndarray, second: np.ndarray) -> Columns:
    """Return three positions in ``PIECES`` for each text, -1 where it is shorter.

    Most pieces have the tone of the whole. ``second`` is the language of every other piece; it
    differs from ``language`` for those who mix.
    """
    size = len(tone)
    # two texts in five have one piece, one in five three
    length = 1 + (draws("length").random(size)[:, None] * 3 > np.array([1.2, 2.4])).sum(axis=1)
    length = np.where(language != second, np.maximum(length, 2), length)
    draw, pieces = draws("pieces").random((size, 3, 3)), {}
    for number, name in enumerate(("first", "second", "third")):
        same, other, phrase = draw[:, number].T
        own_tone = np.where(same < SAME_TONE, tone, np.where(other < 0.7, 1, (other < 0.85) * 2))
        own_language = second if number == 1 else language
        position = (own_language * len(TONES) + own_tone) * VARIETY + (phrase * VARIETY).astype(
            np.int64
        )
        pieces[name] = np.where(number < length, position, -1)
    return pieces


def compose(pieces: Columns) -> pa.Array:
    """Return the texts: pieces joined by a space, empty where there is none."""
    taken = [
        PIECES.take(
            pa.array(np.maximum(pieces[name], 0), mask=(pieces[name] < 0) & (name != "first"))
        )
        for name in ("first", "second", "third")
    ]
    joined = pc.binary_join_element_wise(*taken, pa.scalar(" "), null_handling="skip")
    return pc.if_else(pa.array(pieces["first"] >= 0), joined, pa.scalar(None, pa.string()))
